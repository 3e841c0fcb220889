"""Sources: what is no regular file in one is named at once, and no change of one goes unseen."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from stemma.base import digest
from stemma.base.digest import GRAIN, StatCache
from stemma.base.errors import StemmaError
from tests.stemma import strays
from tests.stemma.conftest import Toy
from tests.stemma.strays import LINKS, SPECIAL, plant_outside, snapshot


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A directory of texts that were written some time ago."""
    (tmp_path / "texts/deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt", "deep-er.txt"):
        (tmp_path / "texts" / name).write_text(name)
    return tmp_path / "texts"


@pytest.fixture
def patient(monkeypatch) -> None:
    """As if what was just written had been written long ago."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 2 * GRAIN)


@pytest.mark.parametrize("stray", [*LINKS, *SPECIAL])
@pytest.mark.parametrize("where", ["texts/note", "texts/deep/note"])
def test_what_is_no_file_is_named(texts: Path, tmp_path: Path, stray, where: str):
    outside = plant_outside(tmp_path / "outside")
    kept = snapshot(outside)
    stray(tmp_path / where, outside)
    for reader in (StatCache(tmp_path / "cache").digest, digest.of_tree):
        with pytest.raises(StemmaError) as raised:
            reader(texts)
        kind = {"pipe": "a pipe", "plug": "a socket", "endless": "a device"}.get(stray.__name__, "a link")
        assert str(raised.value).startswith(f"source {texts}: {tmp_path / where}")
        assert f"is {kind}" in str(raised.value)
        assert "\n" not in str(raised.value)
    assert snapshot(outside) == kept


@pytest.mark.parametrize("stray", [*SPECIAL, strays.link_to_nothing, strays.link_to_itself])
def test_a_source_that_is_none_itself(tmp_path: Path, stray):
    stray(tmp_path / "texts", tmp_path)
    with pytest.raises(StemmaError, match=f"^source {tmp_path}/texts.*(is a |does not exist|cannot be read)"):
        StatCache(tmp_path / "cache").digest(tmp_path / "texts")


def test_a_name_that_is_no_text(texts: Path):
    (texts / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    with pytest.raises(StemmaError, match=r"the name of .*texts/caf.udce9\.txt is not UTF-8; rename it"):
        digest.of_tree(texts)


def test_a_link_to_a_source_is_the_source(texts: Path, tmp_path: Path):
    (tmp_path / "linked").symlink_to("texts")
    cache = StatCache(tmp_path / "cache")
    assert cache.digest(tmp_path / "linked") == cache.digest(texts) == digest.of_tree(texts)


@pytest.mark.parametrize("entry", [True, 1, [], "abc", [1, 2, 3, 4], [1, 2, 3, 4, None], {"a": 1}])
def test_a_cache_may_hold_anything(texts: Path, tmp_path: Path, entry):
    """Whoever shares the directory may have written it; the file is read then."""
    file = texts / "a.txt"
    (tmp_path / "cache").write_text(json.dumps({str(file.resolve()): entry}))
    assert StatCache(tmp_path / "cache").digest(file) == digest.of_tree(file)


def test_snakemake_says_it_in_one_line_at_once(toy: Toy):
    (toy.path / "text.txt").unlink()
    (toy.path / "text.txt").mkdir()
    os.mkfifo(toy.path / "text.txt/queue")
    done = subprocess.run(
        toy.command(), cwd=toy.path, capture_output=True, text=True, env=toy.environment, check=False, timeout=120
    )
    assert done.returncode != 0
    [error] = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    assert "source text.txt: text.txt/queue is a pipe" in error
    assert "Traceback" not in done.stderr


def test_what_has_not_changed_is_not_read_again(texts: Path, tmp_path: Path, patient, monkeypatch):
    cache = StatCache(tmp_path / "cache")
    first = cache.digest(texts)
    cache.save()
    monkeypatch.setattr(digest, "of_file", lambda path: pytest.fail(f"{path} is read again"))
    assert StatCache(tmp_path / "cache").digest(texts) == first


def test_an_edit_of_equal_size_with_its_old_times_is_seen(texts: Path, tmp_path: Path, patient):
    cache = StatCache(tmp_path / "cache")
    first, before = cache.digest(texts), (texts / "a.txt").stat()
    with (texts / "a.txt").open("r+") as file:
        file.write("b")
    os.utime(texts / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = (texts / "a.txt").stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert cache.digest(texts) == digest.of_tree(texts) != first


def test_a_source_unpacked_anew_with_fixed_times_is_seen(texts: Path, tmp_path: Path, patient):
    """As tar does it: the same names, sizes and times; the inode may be the same one again."""
    cache = StatCache(tmp_path / "cache")
    os.utime(texts / "a.txt", (1e9, 1e9))
    first = cache.digest(texts)
    (texts / "a.txt").unlink()
    (texts / "a.txt").write_text("A.txt")
    os.utime(texts / "a.txt", (1e9, 1e9))
    assert cache.digest(texts) == digest.of_tree(texts) != first


def test_what_was_just_written_is_not_remembered(texts: Path, tmp_path: Path):
    """A second write within one tick of the clock would leave all of its stamp as it was."""
    cache = StatCache(tmp_path / "cache")
    cache.digest(texts)
    assert cache.known == {}
