"""Lineage up to the raw bytes and down to every descendant, of paths, digests, sources and code files."""

import json
import subprocess
import sys

import pytest

from stemma import digest
from tests.stemma.conftest import Toy


def ask(toy: Toy, command: str, *arguments: str) -> subprocess.CompletedProcess:
    """`lineage` or `used-by` in the toy's directory."""
    line = [sys.executable, "-m", "stemma", command, *arguments]
    return subprocess.run(line, cwd=toy.path, capture_output=True, text=True, env=toy.environment, check=False)


def test_lineage_reaches_the_raw_bytes(built: Toy):
    done = ask(built, "lineage", "results/final.txt")
    assert done.returncode == 0, done.stderr
    for name in ("results/final.txt", "results/joined.txt", "results/parts", "text.txt"):
        assert name in done.stdout
    assert "results/final.txt" not in ask(built, "lineage", "results/joined.txt").stdout


def test_file_in_a_directory_and_digest_name_the_artifact(built: Toy):
    whole = ask(built, "lineage", "results/parts").stdout
    assert "text.txt" in whole
    assert "text.txt" in ask(built, "lineage", "results/parts/a.txt").stdout
    sha256 = digest.of_file(built.path / "results/joined.txt")
    assert "results/parts" in ask(built, "lineage", sha256[:12]).stdout


@pytest.mark.parametrize(
    ("word", "descendants"),
    [
        ("text.txt", {"results/parts", "results/joined.txt", "results/final.txt"}),
        ("llm/deep/low.py", {"results/parts", "results/joined.txt", "results/final.txt"}),
        ("llm/other.py", {"results/joined.txt", "results/final.txt"}),
        ("results/joined.txt", {"results/final.txt"}),
    ],
)
def test_used_by_names_every_descendant_and_no_other(built: Toy, word: str, descendants: set[str]):
    done = ask(built, "used-by", word)
    assert done.returncode == 0, done.stderr
    body = "\n".join(done.stdout.splitlines()[1:])
    for name in {"results/parts", "results/joined.txt", "results/final.txt"} - {word}:
        assert (name in body) is (name in descendants), body


def test_forms(built: Toy):
    assert json.loads(ask(built, "lineage", "results/final.txt", "--json").stdout)
    assert ask(built, "used-by", "text.txt", "--dot").stdout.startswith("digraph")


def test_index_that_is_lost_or_damaged_is_made_again(built: Toy):
    first = ask(built, "lineage", "results/final.txt").stdout
    found = [file for file in (built.path / "results").rglob("*") if "index" in file.name and file.is_file()]
    assert found
    for file in found:
        file.write_bytes(b"garbage")
    assert ask(built, "lineage", "results/final.txt").stdout == first


def test_wrong_name_is_one_line_with_a_near_one(built: Toy):
    done = ask(built, "lineage", "results/finale.txt")
    assert done.returncode == 2
    assert "did you mean results/final.txt?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
