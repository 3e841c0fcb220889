"""The index: equal to what the records say, whatever was added, replaced, used again or removed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.records import synthesise
from stemma.base import digest
from stemma.base.settings import Settings
from stemma.provenance import index as module
from stemma.provenance.index import INDEX, Index
from stemma.store.local import Store


@pytest.fixture
def here(tmp_path, monkeypatch) -> Store:
    """Twenty records of two shards, in the current directory."""
    synthesise(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    return Store.of(Settings.here())


def content(index: Index) -> dict[str, list[tuple]]:
    """What a fresh index and one that has grown must agree on: everything but running numbers and stamps."""
    names = dict(index.rows("SELECT id, action FROM record"))
    found = {
        "record": index.rows("SELECT action, sha256, rule, script, finished, seconds, origin FROM record"),
        "code": index.rows("SELECT action, path, code_file.sha256 FROM record JOIN code_file USING (code)"),
        "member": index.rows("SELECT * FROM member"),
        "pointer": index.rows("SELECT path, sha256, action, record FROM pointer WHERE action NOT NULL"),
    }
    for table in ("subject", "input", "wildcard"):
        found[table] = [(names[number], *row) for number, *row in index.rows(f"SELECT * FROM {table}")]
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def fresh(store: Store) -> dict[str, list[tuple]]:
    """The content of an index made from nothing, the kept one put back afterwards."""
    kept = INDEX.read_bytes()
    INDEX.unlink()
    found = content(Index(store))
    INDEX.write_bytes(kept)
    return found


def test_holds_what_records_and_pointers_say(here):
    index = Index(here)
    found = content(index)
    assert [len(found[table]) for table in ("record", "subject", "wildcard", "pointer")] == [20] * 4
    assert len(found["input"]) == 27, "one parent each, after the first stage; two for shard 0"
    (row,) = index.rows(
        "SELECT record.action, record.sha256, pointer.sha256, pointer.record FROM pointer JOIN record USING (action)"
        " WHERE path = 'results/clean/shard-0001/manifest.json'"
    )
    action, envelope, sha256, named = row
    assert digest.of_file(here.record_path(action)) == envelope == named
    assert digest.of_file(Path("results/clean/shard-0001/manifest.json")) == sha256
    assert index.rows("SELECT path FROM member WHERE manifest = ?", sha256) == [("part.parquet",)]
    assert sorted(index.durations("clean")) == [1.0, 2.0]
    assert index.durations("no_such_rule") == []


def test_follows_records_that_come_change_and_go(here):
    Index(here)
    gone, changed, broken, used = sorted((here.path / "records").rglob("*.json"))[:4]
    gone.unlink()
    text = sorted((here.path / "records").rglob("*.json"))[-1].read_bytes()
    digest.write_atomically(changed, text)
    digest.write_atomically(broken, b'{"payload": "cut o')
    os.utime(used)
    Path("results/.records/clean/shard-0000/manifest.json.json").unlink()
    pointer = Path("results/.records/clean/shard-0001/manifest.json.json")
    digest.write_atomically(pointer, json.dumps(digest.read_json(pointer) | {"sha256": "0" * 64}).encode())
    grown = content(Index(here))
    assert grown == fresh(here)
    assert len(grown["record"]) == 19
    assert sum(row[2] is None for row in grown["record"]) == 1, "the broken one has no rule"
    assert len(grown["pointer"]) == 19


def test_nothing_new_leaves_the_kept_file_alone(here):
    Index(here)
    before = INDEX.stat()
    Index(here)
    after = INDEX.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("place", [0, 70, 5000, -1])
def test_one_flipped_bit_is_noticed(here, place):
    right = content(Index(here))
    data = bytearray(INDEX.read_bytes())
    data[place] ^= 4
    INDEX.write_bytes(data)
    assert content(Index(here)) == right
    assert module.read_image(INDEX) is not None, "a sound one was put in its place"


@pytest.mark.parametrize("data", [b"", b"not a database", b"0" * 64 + b"SQLite format 3\0"])
def test_what_is_no_index_is_replaced(here, data):
    right = content(Index(here))
    INDEX.write_bytes(data)
    assert content(Index(here)) == right


def test_other_tables_are_not_believed(here, monkeypatch):
    Index(here)
    monkeypatch.setattr(module, "SCHEMA", module.SCHEMA + "CREATE TABLE later (a);")
    assert module.read_image(INDEX) is None
    assert Index(here).rows("SELECT * FROM later") == []


def test_processes_that_build_it_at_once(here):
    """Four start from nothing together; each answers rightly and what is kept is sound."""
    command = [sys.executable, "-c", "from stemma.provenance.index import *; from stemma.base.settings import Settings;"
               "print(len(Index(Store.of(Settings.here())).rows('SELECT * FROM input')))"]  # fmt: skip
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {process.communicate()[0] for process in running}
    assert answers == {f"{len(Index(here).rows('SELECT * FROM input'))}\n"}
    assert module.read_image(INDEX) is not None
    assert not list(INDEX.parent.glob("*.tmp"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write here")
def test_read_only_directory_answers_without_keeping(here, monkeypatch):
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(Path.cwd(), directory, dirs_exist_ok=True)
        Path(directory).chmod(0o755)
        monkeypatch.chdir(directory)
        os.seteuid(65534)
        try:
            index = Index(Store(Path("results/.store")))
        finally:
            os.seteuid(0)
        assert len(index.rows("SELECT * FROM record")) == 20
        assert not INDEX.exists()


def test_a_directory_without_builds_gets_no_traces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Index(Store(Path("results/.store"))).rows("SELECT * FROM record") == []
    assert list(tmp_path.iterdir()) == []
