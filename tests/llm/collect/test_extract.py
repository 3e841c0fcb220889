"""Collecting a source: members by glob, formats by name, own files by path, and a source that yields nothing."""

import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from llm.collect.config import file_of, kind_of, origin_of, pin_of
from llm.collect.extract import FORMATS, collect
from llm.collect.settings import Recipe
from llm.errors import InputError
from tests.llm.collect.read_shards import read_documents

RECIPE = Recipe(
    source="tales", part=0, parts=1, origin="pypi:tales==1", file="", format="text", include=[], exclude=[],
    archives=[], column="text", extractor="fast", domain="books", license="MIT", refused_licenses=[],
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {"one.txt": "One.", "deep/er/two.txt": "Two.", "deep/three.md": "Three.", "deep/code.py": "x = 1\n"}
    for name, text in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    return tmp_path / "tree"


def collected(archive: Path, tmp_path: Path, **changes) -> tuple[dict, list[dict]]:
    out = tmp_path / "raw"
    out.mkdir()
    metrics = collect(archive, out, replace(RECIPE, **changes))
    return metrics, [row for frame in read_documents(out) for row in frame.to_dicts()]


def test_own_directory(tree: Path, tmp_path: Path) -> None:
    metrics, documents = collected(tree, tmp_path, origin="path:tales")
    assert [document["text"] for document in documents] == ["Two.", "Three.", "One."]
    assert documents[0]["url"] == "path:tales/deep/er/two.txt"
    assert metrics == {
        "documents": 3, "bytes": 14, "shards": 1, "skipped": {}, "decoded": {"utf-8": 3}, "languages": {},
        "licenses": {"MIT": 3}, "members": 3
    }  # fmt: skip


def test_tar_gives_the_same_documents_as_its_directory(tree: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", "w:gz") as tar:
        tar.add(tree, arcname=".")
    assert [row["text"] for row in collected(tmp_path / "archive", tmp_path)[1]] == ["Two.", "Three.", "One."]


def test_own_file_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "NOTES").write_text("Noted.")
    assert collected(tmp_path / "NOTES", tmp_path, file="NOTES")[1][0]["text"] == "Noted."


def test_nuls_empty_and_foreign_charsets_are_reported(tree: Path, tmp_path: Path) -> None:
    (tree / "binary.txt").write_bytes(b"a\0b")
    (tree / "empty.txt").touch()
    (tree / "latin.txt").write_bytes("Füße über Äcker, größer als die Bäume. ".encode("latin-1"))
    metrics, _ = collected(tree, tmp_path)
    assert metrics["skipped"] == {"empty": 1, "nul": 1}
    assert sum(metrics["decoded"].values()) == 6
    assert metrics["decoded"]["utf-8"] == 5


def test_a_source_that_yields_nothing(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'tales' yields nothing: no member matches include \['\*\*/\*.rst'\].*one.txt"
    ):
        collect(tree, tmp_path, replace(RECIPE, include=["**/*.rst"]))
    for name in ("one.txt", "deep/er/two.txt", "deep/three.md"):
        (tree / name).write_bytes(b"\0")
    with pytest.raises(InputError, match=r"3 members as text .*: 3 nul"):
        collect(tree, tmp_path, RECIPE)
    with pytest.raises(InputError, match="format 'txt' is unknown; use one of text, rst"):
        collect(tree, tmp_path, replace(RECIPE, format="txt"))


def test_a_malformed_glob(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="glob '.*' is malformed"):
        collect(tree, tmp_path, replace(RECIPE, include=["**/{a,b"]))


def test_every_format_has_members_of_its_own() -> None:
    assert all(format.include for format in FORMATS.values())


def test_sources_of_the_config() -> None:
    url = {"url": "https://user:secret@example.org/a/b.tar.gz?x=1"}
    assert origin_of("s", url) == "https://example.org/a/b.tar.gz?x=1"
    assert file_of("s", url) == "b.tar.gz"
    assert origin_of("s", {"path": "/home/me/texts/"}) == "path:s"
    assert file_of("s", {"path": "/home/me/book.txt"}) == "book.txt"
    assert origin_of("s", {"url": "file:///home/me/b.txt"}) == "url:s"
    assert (kind_of("s", {"apt": "a=1"}), pin_of("s", {"apt": "a=1"})) == ("apt", "a=1")
    assert file_of("s", {"pypi": "a==1", "file": "a-1.tar.gz"}) == "a-1.tar.gz"
    with pytest.raises(InputError, match="sources.s says no place"):
        kind_of("s", {"format": "text"})
    with pytest.raises(InputError, match="says path and apt"):
        kind_of("s", {"path": "x", "apt": "a=1"})


def test_script_by_hand(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    options = {"archive": tree, "documents": tmp_path / "raw", "source": "tales", "part": 0, "parts": 1,
               "origin": "path:tales", "file": "", "format": "text", "include": "[]",
               "exclude": '["deep/**"]', "archives": "[]", "column": "text", "extractor": "fast",
               "domain": "books", "license": "MIT"}  # fmt: skip
    command = [sys.executable, "scripts/collect/collect.py"]
    command += [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": "."})
    assert json.loads(done.stdout)["documents"] == 1, done.stderr


def test_a_name_that_is_used_twice_is_counted(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", "w") as tar:
        for name, text in (("a.txt", b"old"), ("b.txt", b"other"), ("./a.txt", b"new"), ("a.bin", b""), ("a.bin", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    metrics, documents = collected(tmp_path / "archive", tmp_path)
    assert [document["text"] for document in documents] == ["new", "other"]
    assert metrics["skipped"] == {"name used twice": 1}
