"""What a user leaves where an artifact belongs is moved aside as it is, or refused by name; never read through, changed
or deleted. The engine's own goes without a word."""

import contextlib
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.store import artifact
from stemma.store.open_beneath import Aside, opened
from stemma.store.placement import restore
from stemma.store.stamps import Stamps
from tests.stemma import strays
from tests.stemma.strays import STRAYS, plant_outside, snapshot, state
from tests.stemma.yard import Yard, make_yard

ODD = b"caf\xe9 \x1b.txt".decode(errors="surrogateescape")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return plant_outside(tmp_path / "outside")


@pytest.fixture
def yard(half: Yard, tmp_path: Path) -> Yard:
    """A built yard, with its hard links."""
    subprocess.run(["cp", "-a", half.path, tmp_path / "yard"], check=True)
    shutil.rmtree(tmp_path / "yard/results/.store/roots")
    return Yard(tmp_path / "yard", half.settings)


def identity(path: Path) -> tuple:
    """What a rename leaves as it is: everything but the time of the last change."""
    mode, owner, inode, size, (modified, _), content = state(path)
    return mode, owner, inode, size, modified, content


def aside(yard: Yard) -> list[Path]:
    """Where things were set aside, in order."""
    return sorted((yard.path / "results/.aside").glob("*"))


def test_strays_in_a_directory_are_moved_aside(yard: Yard, outside: Path):
    parts = yard.path / "results/parts"
    for stray in STRAYS:
        stray(parts / stray.__name__, outside)
    (parts / ODD).write_bytes(b"odd")
    (parts / ".hidden").write_bytes(b"hidden")
    before = {
        path.name: identity(path) for path in parts.iterdir() if path.name not in ("a.txt", "b.txt", "manifest.json")
    }
    kept = snapshot(outside)
    yard.times = 3
    status, error = yard.run("first")
    assert status == 0, error
    assert sorted(path.name for path in parts.iterdir()) == ["a.txt", "b.txt", "manifest.json"]
    [place] = aside(yard)
    assert {path.name: identity(path) for path in (place / "parts").iterdir()} == before
    assert len(before) == len(STRAYS) + 2
    assert snapshot(outside) == kept
    warning, _ = error.splitlines()
    assert "were not put there by the engine" in warning
    assert f"moved to results/.aside/{place.name}/" in warning
    assert yard.run("first")[1].count("\n") == 1


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("name", ["results/joined.txt", "results/parts/a.txt", "results/parts/manifest.json"])
def test_strays_in_place_of_a_file(yard: Yard, outside: Path, stray, name: str):
    target = yard.path / name
    target.unlink()
    stray(target, outside)
    before, kept = identity(target), snapshot(outside)
    rule = "second" if "joined" in name else "first"
    assert os.waitstatus_to_exitcode(yard.fork(rule)) == 0
    [place] = aside(yard)
    assert identity(place / name.removeprefix("results/")) == before
    assert snapshot(outside) == kept
    assert yard.digests() == yard.recorded()


def test_an_edited_file_is_kept_aside(yard: Yard):
    """Also through a hard link, which changes the store's object, and after the pointers are lost."""
    for number, lose in enumerate((False, True)):
        edited = yard.path / "results/parts/a.txt"
        edited.chmod(0o644)
        with edited.open("ab") as file:
            file.write(strays.TEXT)
        if lose:
            shutil.rmtree(yard.path / "results/.records")
        status, error = yard.run("first")
        assert status == 0, error
        assert "results/parts/a.txt was not put there by the engine, or changed since" in error
        assert (aside(yard)[number] / "parts/a.txt").read_bytes().endswith(strays.TEXT)
        assert not edited.read_bytes().endswith(strays.TEXT)


def test_what_the_engine_put_there_goes_without_a_word(yard: Yard):
    """Files that the artifact has no more, the directories they were in, an artifact below; nothing is set aside."""
    script = yard.path / "scripts/s/first.py"
    text = script.read_text()
    more = "    (parts / 'sub/deep').mkdir(parents=True)\n    (parts / 'sub/deep/c.txt').write_text('c')\n"
    script.write_text(text.replace("    (parts / 'a.txt')", f"{more}    (parts / 'a.txt')"))
    assert yard.run("first")[0] == 0
    assert (yard.path / "results/parts/sub/deep/c.txt").is_file()
    (yard.path / "results/parts/empty/er").mkdir(parents=True)
    (yard.path / "results/parts/empty/er").rmdir()
    script.write_text(text)
    status, error = yard.run("first")
    assert (status, error.count("\n")) == (0, 1), error
    assert sorted(path.name for path in (yard.path / "results/parts").iterdir()) == ["a.txt", "b.txt", "manifest.json"]
    shutil.rmtree(yard.path / "results/.records")
    yard.times = 3
    status, error = yard.run("first")
    assert (status, error.count("\n")) == (0, 1), error
    assert aside(yard) == []


@pytest.mark.parametrize("way", ["results/parts", "results/logs", "results/logs/first", "results/.aside"])
def test_a_link_on_the_way_is_refused_by_name(yard: Yard, outside: Path, way: str):
    shutil.rmtree(yard.path / way, ignore_errors=True)
    (yard.path / way).symlink_to(outside / "precious")
    if way == "results/.aside":
        (yard.path / "results/parts/notes").write_bytes(strays.TEXT)
    kept = snapshot(outside)
    yard.times = 3
    status, error = yard.run("first")
    assert status == 2
    assert error == (
        f"error: first results/parts: {way} is a link, and the engine goes through none to write; "
        "move it away and run again (results itself may be a link)\n"
    )
    assert snapshot(outside) == kept


def test_results_itself_may_be_a_link(tmp_path: Path, half: Yard):
    yard = make_yard(tmp_path / "yard")
    (tmp_path / "disk").mkdir()
    (yard.path / "results").symlink_to(tmp_path / "disk")
    assert yard.build() == ["run"] * 3
    assert yard.digests() == half.digests()
    assert (tmp_path / "disk/final.txt").is_file()


def test_a_log_is_written_through_nothing(yard: Yard, outside: Path):
    """Neither through a link nor through another name that the last log was given."""
    log = yard.path / "results/logs/first.log"
    (yard.path / "kept.log").hardlink_to(log)
    log.chmod(0o644)
    log.write_text("the last log\n")
    yard.times = 3
    assert yard.run("first")[0] == 0
    assert (yard.path / "kept.log").read_text() == "the last log\n"
    log.unlink()
    strays.link_to_file(log, outside)
    kept = snapshot(outside)
    yard.times = 4
    status, error = yard.run("first")
    assert status == 0
    assert "results/logs/first.log was not put there by the engine" in error
    assert snapshot(outside) == kept


@pytest.mark.parametrize("path", ["elsewhere/out.txt", "results/../out.txt", "results/manifest.json"])
def test_outputs_outside_results_are_refused(yard: Yard, path: str):
    sha256 = yard.recorded()["joined.txt"]
    kept = snapshot(yard.path)
    with contextlib.chdir(yard.path), pytest.raises(StemmaError, match="results/"):
        restore(yard.store, Path(path), sha256)
    assert snapshot(yard.path) == kept


def test_of_two_that_come_to_one_place_none_is_lost(yard: Yard):
    """The second, a moment after the first was set aside; and a directory after a file."""
    with contextlib.chdir(yard.path), opened(Path("results")) as folder:
        aside = Aside()
        for text in ("one", "two"):
            Path("results/note").write_text(text)
            aside.take(folder, "note", Path("results/note"))
        Path("results/note/deep").mkdir(parents=True)
        Path("results/note/deep/er").write_text("three")
        aside.take(folder, "note", Path("results/note"))
        found = [file.read_text() for file in sorted(Path("results/.aside").rglob("*")) if file.is_file()]
    assert found == ["one", "two", "three"]


def test_a_pointer_is_written_through_no_link(yard: Yard, outside: Path):
    pointers = yard.path / "results/.records/parts"
    shutil.rmtree(pointers)
    pointers.symlink_to(outside / "precious")
    kept = snapshot(outside)
    status, error = yard.run("first")
    assert (status, error.count("\n")) == (2, 1), error
    assert "results/.records/parts is a link, and the engine goes through none to write; move it away" in error
    assert snapshot(outside) == kept


def test_clean_leaves_what_the_store_has_damaged(yard: Yard):
    """What stands in results/ is the only whole copy then."""
    joined = yard.path / "results/joined.txt"
    sha256, text = digest.of_file(joined), joined.read_text()
    joined.unlink()
    joined.write_text(text)
    thing = yard.store.object_path(sha256)
    thing.chmod(0o644)
    thing.write_text("damaged")
    said = yard.ask("clean")
    assert "so left: results/joined.txt" in said
    assert joined.read_text() == text
    assert not (yard.path / "results/parts/a.txt").exists()


def test_an_artifact_below_another_stays(yard: Yard):
    """Its own job put it there and is not to be done again when that of the other is."""
    below = Path("results/parts/deep/final.txt")
    with contextlib.chdir(yard.path):
        pointer = artifact.read_pointer(Path("results/final.txt"))
        files = restore(yard.store, below, pointer.sha256)
        artifact.write_pointer(below, replace(pointer, files=files))
        yard.times = 3
        assert yard.run("first")[0] == 0
        assert Stamps().fault(below, files) is None
        assert not aside(yard)
        assert "verified" in yard.ask("verify", "results/parts")


def test_what_a_directory_does_not_gather_any_more_leaves_it(yard: Yard):
    """As the shards of a source that the corpus has no more: whoever reads the directory would read them, too."""
    parts = Path("results/parts/manifest.json")
    with contextlib.chdir(yard.path):
        files = artifact.read_pointer(parts).files
        own = {"a.txt": files["a.txt"]}
        artifact.write_pointer(parts.with_name("a.txt"), replace(artifact.read_pointer(parts), files=own))
        Path("empty").mkdir()
        restore(yard.store, parts, yard.store.add_bytes(artifact.manifest_of(Path("empty"))))
        assert [file.name for file in parts.parent.iterdir()] == ["manifest.json"]
    assert not aside(yard)
