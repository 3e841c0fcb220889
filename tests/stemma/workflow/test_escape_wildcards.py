"""Strings of a config reach the scripts as they were written, whatever Snakemake, the shell or a format would make of
them; paths too."""

import json

import yaml

from tests.stemma.conftest import ALL_RUN, Toy, jobs, planted

STRINGS = [
    *("{x}", "{{x}}", "set {1,2}", "{", "}}", "{wildcards.n}", "{params}", "<results>", "%s %(x)s 100%"),
    *("$HOME $(id) `id`", 'it\'s "quoted" \\ \\n', "two\nlines\r\n", "\ttab ", "", "-n", "--text=x", "null", "1e3"),
    *("größer 漢字 \U0001f600 e\u0301", "*?[a]~!#&;|>", "\x1b[31m"),
]
PATHS = [
    *(
        "{n}",
        "{{x}}",
        "set {1,2}",
        "<results> <no>",
        "a 'b' \"c\" $(id) `id`",
        "100% größer\nline",
        "-n",
        " x",
        "{a-b}",
    ),
    "{x} <y>/",
]
SCRIPT = """
import json
from pathlib import Path
from llm.command import command


def main(text: Path, given: Path, *, note: str, notes: list, more: dict) -> dict:
    inside = next(text.iterdir()) if text.is_dir() else text
    given.write_text(json.dumps([note, notes, more, inside.read_text()]))
    return {'note': note}


if __name__ == '__main__':
    command(main)
"""
SNAKEFILE = """
from stemma.workflow.escape_wildcards import literal
from stemma.base.settings import Settings
from stemma.workflow.log_filter import be_terse
from stemma.workflow.attach import attach

be_terse(workflow)

configfile: "config.yaml"

rule all:
    input:
        expand("results/{n}.json", n=range(len(config["paths"]))),

rule first:
    input:
        text=lambda w: literal(config["paths"][int(w.n)]),
    output:
        given="results/{n}.json",
    params:
        note=config["note"],
        notes=config["notes"],
        more=config["more"],
    log:
        "results/logs/{n}.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

attach(workflow, Settings(key="key.pem"))
"""


def test_params_and_paths_stay_text(toy: Toy):
    """Also where a param is one string, the members of a list, the names of a mapping; a second build runs nothing."""
    more = {text: text for text in STRINGS}
    config = {"note": "".join(STRINGS), "notes": STRINGS, "more": more, "paths": PATHS}
    (toy.path / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    (toy.path / "Snakefile").write_text(SNAKEFILE)
    (toy.path / "scripts/s/first.py").write_text(SCRIPT)
    (toy.path / PATHS[-1]).mkdir()
    for path in PATHS:
        (toy.path / (path + "inside" * path.endswith("/"))).write_text(path)
    done = toy.snakemake()
    assert done.returncode == 0, done.stderr
    assert jobs(done) == [("first", "run")] * len(PATHS)
    assert "warning" not in done.stderr.lower()
    for number, path in enumerate(PATHS):
        assert json.loads(toy.read(f"results/{number}.json")) == ["".join(STRINGS), STRINGS, more, path]
    assert toy.build() == []


def test_a_repository_whose_path_has_braces(tmp_path):
    """The shell's prefix names it, and Snakemake formats that."""
    assert planted(tmp_path / "a {x} <y> 'z'").build() == ALL_RUN
