"""Why is it stale: the field that changed, old and new, along the whole chain; in a toy that was really built."""

import json
import subprocess
import sys

import pytest

from stemma.base.errors import StemmaError
from stemma.planning.call import overrides
from stemma.workflow.why import Change, differing, named_in_config
from tests.stemma.conftest import Toy

REFUSED = """
class TooMany(Exception):
    pass


def refused(times):
    if times > 8:
        raise TooMany(f"times: {times} is too many")
    return times


rule first:"""


def why(toy: Toy, *arguments: str) -> subprocess.CompletedProcess:
    """The command, in the toy's directory."""
    command = [sys.executable, "-m", "stemma", "why", *arguments]
    return subprocess.run(command, cwd=toy.path, capture_output=True, text=True, env=toy.environment, check=False)


def chain(toy: Toy, *arguments: str) -> dict[str, dict]:
    """Rule -> what is said of it."""
    done = why(toy, "results/final.txt", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {stale["rule"]: stale for stale in json.loads(done.stdout)["stale"]}


def changes(stale: dict) -> list[tuple]:
    return [(change["what"], change["name"], change["old"], change["new"]) for change in stale["changes"]]


def test_nothing_is_stale_after_a_build(built: Toy):
    assert why(built, "results/final.txt").stdout == "results/final.txt is up to date, for `snakemake`\n"


def test_change_not_yet_made_names_the_config_key_and_the_time(built: Toy):
    found = chain(built, "--after", "times=5")
    assert list(found) == ["first", "second", "third"]
    assert changes(found["first"]) == [("config", "times", 2, 5)]
    assert changes(found["second"]) == changes(found["third"]) == []
    assert found["third"]["waits_for"] == ["results/joined.txt"]
    assert all(stale["seconds"] >= 0 for stale in found.values())
    text = why(built, "results/final.txt", "--after", "times=5").stdout
    assert "3 jobs" in text
    assert "config times: 2 -> 5" in text
    assert built.build() == [], "asking changes nothing"


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("results/fnal.txt", "results/fnal.txt: no rule makes it; did you mean results/final.txt?"),
        ("./results/part", "./results/part: no rule makes it; did you mean results/parts?"),
        ("results/parts/a.txt", "results/parts/a.txt: no rule makes it; it is in results/parts, ask for that"),
        ("second", "second is a rule; ask for one of its artifacts, for example results/joined.txt"),
        ("all", "all is a rule; ask for one of its artifacts, for example results/final.txt"),
        ("text.txt", "text.txt: no rule makes it; it is there already"),
    ],
)
def test_a_misspelt_target_gets_a_suggestion(toy: Toy, word: str, line: str):
    done = why(toy, word)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")


def test_a_config_that_a_rule_refuses_is_refused_in_its_words(toy: Toy):
    """The refusal comes from a function of a rule that the target needs; it is no traceback."""
    toy.replace("Snakefile", 'times=config["times"]', 'times=lambda w: refused(config["times"])')
    toy.replace("Snakefile", "rule first:", REFUSED)
    done = why(toy, "results/final.txt", "--after", "times=9")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: times: 9 is too many\n")
    assert why(toy, "results/final.txt").returncode == 0


def test_changed_code_names_module_and_function(built: Toy):
    built.replace("llm/deep/low.py", "text.upper()", "text.lower()")
    found = chain(built)
    assert list(found) == ["first", "second", "third"]
    [(what, name, old, new)] = changes(found["first"])
    assert (what, name) == ("code", "llm/deep/low.py: shout")
    assert old != new
    assert changes(found["second"]) == []


def test_changed_source_and_missing_artifact(built: Toy):
    (built.path / "text.txt").write_text("other\n")
    [(what, name, _, _)] = changes(chain(built)["first"])
    assert (what, name) == ("source", "text.txt")
    built.build()
    (built.path / "results/joined.txt").unlink()
    found = chain(built)
    assert changes(found["second"]) == [("damage", "results/joined.txt is missing", None, None)]


def test_failed_rebuild_leaves_every_descendant_stale(built: Toy):
    built.replace("llm/deep/low.py", "return text.upper()", "raise ValueError('broken')")
    assert built.snakemake().returncode != 0
    assert list(chain(built)) == ["first", "second", "third"]


def test_never_built(toy: Toy):
    found = chain(toy)
    assert changes(found["first"]) == [("never built", "results/parts", None, None)]
    assert (found["first"]["seconds"], "never timed" in why(toy, "results/final.txt").stdout) == (None, True)


def test_never_built_here_is_timed_by_others_of_its_rule(built: Toy):
    before = chain(built, "--after", "times=5")["first"]["seconds"]
    (built.path / "results/.records/parts/manifest.json.json").unlink()
    found = chain(built)["first"]
    assert (found["seconds"], found["estimated"]) == (before, True)
    assert "as others of its rule" in why(built, "results/final.txt").stdout


OTHER = """rule other:
    input:
        text="text.txt",
    output:
        other="results/other.txt",
    params:
        times=config["times"],
    log:
        "results/logs/other.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

rule all:
    default_target: True"""

CHANGES = {
    "nothing": lambda toy: None,
    "a source": lambda toy: (toy.path / "text.txt").write_text("other\n"),
    "deep code": lambda toy: toy.replace("llm/deep/low.py", "upper", "lower"),
    "a deleted output": lambda toy: (toy.path / "results/joined.txt").unlink(),
    "the config file": lambda toy: toy.replace("config.yaml", "times: 2", "times: 4"),
    "the Snakefile": lambda toy: toy.replace("Snakefile", "times=config", "more=1, times=config"),
    "a comment in the Snakefile": lambda toy: toy.replace("Snakefile", "rule all", "# new\nrule all"),
}


THOROUGH = ("a source", "deep code", "a deleted output")


@pytest.mark.parametrize(
    "change", [pytest.param(name, marks=[pytest.mark.thorough] if name in THOROUGH else []) for name in CHANGES]
)
def test_the_kept_plan_answers_as_the_workflow_does(toy: Toy, change: str):
    """Before and after a change: asked by what the last build kept, and by reading the workflow anew."""
    toy.build()
    CHANGES[change](toy)
    kept = why(toy, "results/final.txt", "--json")
    (toy.path / "results/.records/plan.json").unlink()
    anew = why(toy, "results/final.txt", "--json")
    assert (kept.stdout, kept.returncode) == (anew.stdout, 0)
    assert (json.loads(kept.stdout)["stale"] == []) == (change in ("nothing", "a comment in the Snakefile"))


def test_snakemake_is_loaded_only_where_the_workflow_was_changed(toy: Toy):
    toy.build()
    asked = ["why", "results/final.txt"]
    code = f"import sys; from stemma.__main__ import main; main({asked}); print('snakemake.workflow' in sys.modules)"

    def loads() -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=toy.path, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert loads() == "False"
    toy.replace("Snakefile", "rule all", "# new\nrule all")
    assert loads() == "True"


def test_without_options_it_is_asked_as_the_last_build_was_called(toy: Toy):
    toy.build("--config", "times=3")
    assert chain(toy) == {}
    assert changes(chain(toy, "--config", "times=2")["first"]) == [("config", "times", 3, 2)]


def test_equal_numbers_are_no_change(built: Toy):
    assert chain(built, "--after", "times=2.0") == {}


def test_threads_and_shell_line_are_named(built: Toy):
    built.replace(
        "Snakefile", '"python -m stemma run scripts/s/{rule}.py', '"A=1 python -m stemma run scripts/s/{rule}.py'
    )
    built.replace("Snakefile", '"results/logs/second.log"', '"results/logs/second.log"\n    threads: 3')
    found = chain(built)
    assert changes(found["first"]) == [("shell line", "of first", "", "A=1")]
    assert changes(found["second"]) == [("threads", "of second", 1, 3), ("shell line", "of second", "", "A=1")]


def test_another_config_s_build_does_not_answer_for_this_one_s(built: Toy):
    """A small build with another config, of another target, after the large one: each target is asked for as its own
    last build was called, and the answer says so."""
    built.replace("Snakefile", "rule all:", OTHER)
    other = built.read("scripts/s/first.py").replace("parts: Path", "other: Path").replace("parts / 'a.txt'", "other")
    (built.path / "scripts/s/other.py").write_text(other.replace("    (parts / 'b.txt').write_text('constant')\n", ""))
    assert built.build("--config", "times=7", "--", "results/other.txt") == [("other", "run")]
    done = why(built, "results/final.txt")
    assert done.stdout == "results/final.txt is up to date, for `snakemake`\n"
    assert (
        why(built, "results/other.txt").stdout == "results/other.txt is up to date, for `snakemake --config times=7`\n"
    )
    assert json.loads(why(built, "results/joined.txt", "--json").stdout) == {"call": "snakemake", "stale": []}
    built.replace("config.yaml", "times: 2", "times: 4")
    assert changes(chain(built)["first"]) == [("config", "times", 2, 4)]
    assert why(built, "results/other.txt").stdout.startswith("results/other.txt is up to date, for `snakemake --config")


@pytest.mark.parametrize(
    "arguments",
    [
        ["results/nonsense.txt"],
        *(["results/final.txt", "--after", text] for text in ("times", "x=[1", "=5", "a..b=1", "x={1: 2, a: 3}")),
        ["results/final.txt", "--after", "x=2024-01-01"],
        ["results/final.txt", "--configfile", "nowhere.yaml"],
        ["results/final.txt", "--configfile", "results/final.txt"],
    ],
)
def test_bad_question_is_one_line(built: Toy, arguments: list[str]):
    done = why(built, *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")


def test_params_take_the_name_of_their_config_key():
    config = differing({"process": {"limits": {"words": 50, "lines": 3}}}, {"process": {"limits": {"words": 80}}})
    assert Change("param", "process.limits.lines", 3, None) in config
    named = named_in_config(Change("param", "limits.words", 50, 80), config)
    assert named == Change("config", "process.limits.words", 50, 80)
    other = Change("param", "words", 50, 90)
    assert named_in_config(other, config) is other


def test_overrides_nest_and_are_typed():
    assert overrides(["a.b=5", "a.c=[x, y]", "d=text"]) == {"a": {"b": 5, "c": ["x", "y"]}, "d": "text"}
    assert overrides(["a=1", "a.b=2", "a.c=3.0"]) == {"a": {"b": 2, "c": 3}}, "the later one counts"
    with pytest.raises(StemmaError, match="KEY=VALUE"):
        overrides(["a"])
