"""`lineage` and `used-by`: what they find for each kind of question, before and after changes, in three forms."""

import json
import shutil
import subprocess
import sys

import pytest

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.provenance.index import Index
from stemma.provenance.lookup import held_by_digest
from stemma.store.local import Store
from tests.stemma.conftest import Toy

COMMAND = [sys.executable, "-m", "stemma"]


def ask(toy: Toy, *arguments: str) -> subprocess.CompletedProcess:
    """`python -m stemma ...` in the toy's directory."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=toy.path, env=toy.environment, capture_output=True, text=True, check=False
    )


def targets(toy: Toy, *arguments: str) -> list[str]:
    """The paths in an answer, sorted; it must succeed."""
    return sorted(node["path"] for node in answer(toy, *arguments)["nodes"])


def answer(toy: Toy, *arguments: str) -> dict:
    """An answer as JSON."""
    done = ask(toy, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


PARTS, JOINED, FINAL = "results/parts/manifest.json", "results/joined.txt", "results/final.txt"


def test_every_kind_of_question(built):
    """One build answers them all: a build costs seconds."""
    sha256 = {
        path: digest.of_file(built.path / path) for path in (PARTS, JOINED, FINAL, "text.txt", "results/parts/b.txt")
    }
    text = ask(built, "lineage", FINAL).stdout.splitlines()
    assert text == [
        "results/final.txt: made from 2 artifacts and 1 source file",
        f"results/final.txt  third  sha256 {sha256[FINAL][:12]}",
        f"└─ results/joined.txt  second  sha256 {sha256[JOINED][:12]}",
        f"   └─ results/parts  first  sha256 {sha256[PARTS][:12]}",
        f"      └─ text.txt  source  sha256 {sha256['text.txt'][:12]}",
    ]
    assert ask(built, "used-by", "text.txt").stdout.splitlines()[:2] == [
        "text.txt: 3 artifacts descend from it",
        f"results/parts  first  sha256 {sha256[PARTS][:12]}  [directly]",
    ]
    for word in ("results/parts", PARTS, "./results/parts/", "results/parts/b.txt", str(built.path / PARTS)):
        assert targets(built, "lineage", word) == [PARTS, "text.txt"], word
        assert targets(built, "used-by", word) == [FINAL, JOINED, PARTS], word
    for word in (sha256["results/parts/b.txt"], sha256[PARTS][:8]):
        assert targets(built, "lineage", word) == [PARTS, "text.txt"], word
        assert targets(built, "used-by", word) == [FINAL, JOINED, PARTS], word
    for word in ("text.txt", "llm/deep/low.py", "scripts/s/first.py", sha256["text.txt"][:10]):
        assert targets(built, "used-by", word) == [FINAL, JOINED, PARTS], word
    assert targets(built, "used-by", "llm/other.py") == [FINAL, JOINED]
    direct = {node["path"]: node["reads"] for node in answer(built, "used-by", "llm/other.py")["nodes"]}
    assert direct == {JOINED: True, FINAL: False}
    pointer = digest.read_json(built.path / "results/.records/joined.txt.json")
    for word in (pointer["action"], pointer["record"]):
        assert targets(built, "lineage", word) == [JOINED, PARTS, "text.txt"]


def test_json_edges_and_dot_agree(built):
    found = answer(built, "lineage", FINAL)
    assert [(edge["from"].split("@")[0], edge["to"].split("@")[0]) for edge in found["edges"]] == [
        (JOINED, FINAL),
        (PARTS, JOINED),
        ("text.txt", PARTS),
    ]
    assert {node["kind"] for node in found["nodes"]} == {"artifact", "source"}
    dot = ask(built, "used-by", "text.txt", "--dot").stdout
    assert dot.count("->") == 2
    assert f'label="{JOINED}\\nsecond\\n' in dot
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed (apt: graphviz), so that it accepts the graph was not checked")
    svg = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True).stdout
    assert svg.count('class="edge"') == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lineage", "results/final.tx"], "did you mean results/final.txt?"),
        (["used-by", "llm/deep/lo.py"], "did you mean llm/deep/low.py?"),
        (["used-by", "text"], "did you mean text.txt?"),
        (["lineage", "text.txt"], "text.txt has no ancestors: it is not built"),
        (["lineage", "0123456789abcdef"], "is in no record here"),
    ],
)
def test_wrong_word_is_one_line(built, arguments, said):
    done = ask(built, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_nothing_built(toy):
    done = ask(toy, "lineage", FINAL)
    assert done.returncode == 2
    assert "nothing was built here" in done.stderr
    assert not (toy.path / "results").exists()


def test_what_was_overwritten_is_still_in_the_store(built):
    """Another config, and the artifacts are others; the old ones answer by digest, and by path with --all."""
    old = digest.of_file(built.path / FINAL)
    built.build("--config", "times=5")
    new = digest.of_file(built.path / FINAL)
    assert old != new
    found = answer(built, "lineage", old)
    assert {node["current"] for node in found["nodes"] if node["kind"] == "artifact"} == {False}
    assert "[not in results/ now]" in ask(built, "lineage", old).stdout
    assert [node["sha256"] for node in answer(built, "lineage", FINAL)["nodes"] if node["path"] == FINAL] == [new]
    assert targets(built, "used-by", "text.txt") == sorted([PARTS, JOINED, FINAL])
    assert targets(built, "used-by", "text.txt", "--all") == sorted([PARTS, JOINED, FINAL] * 2)
    assert "`--all` looks among all records" in ask(built, "used-by", old).stderr
    (built.path / FINAL).unlink()
    assert "`--all` looks among all records" in ask(built, "used-by", FINAL).stderr
    assert len(targets(built, "used-by", FINAL, "--all")) == 2


def test_descent_goes_by_content_after_a_cut_off(built):
    """A refactor makes equal bytes by another job; what had read them before still descends from the new one."""
    built.replace("llm/middle.py", "shout(text) * 2", "shout(text) + shout(text)")
    assert ("first", "run") in built.build()
    found = answer(built, "used-by", "text.txt")
    assert sorted(node["path"] for node in found["nodes"]) == [FINAL, JOINED, PARTS]
    assert [root.split("@")[0] for root in found["roots"]] == [PARTS]
    assert len(targets(built, "used-by", "llm/middle.py")) == 3


def test_a_lost_record_is_said(built):
    pointer = digest.read_json(built.path / "results/.records/parts/manifest.json.json")
    (built.path / "results/.store/records" / pointer["action"][:2] / f"{pointer['action'][2:]}.json").unlink()
    done = ask(built, "lineage", FINAL)
    assert done.stdout.splitlines()[-1].endswith("[its record is gone]")
    assert done.stdout.splitlines()[-1].split()[1] == "results/parts"


def test_beginning_of_two_digests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index = Index(Store(tmp_path / "store"))
    rows = [(number, "out", 0, f"results/{number}", f"abcdef01{number}" + "0" * 55) for number in (1, 2)]
    index.tables.executemany("INSERT INTO subject VALUES (?, ?, ?, ?, ?)", rows)
    with pytest.raises(StemmaError, match="abcdef01 is the beginning of several digests"):
        held_by_digest(index, {}, "abcdef01")
    assert held_by_digest(index, {}, "abcdef012").asked == "abcdef012" + "0" * 55
