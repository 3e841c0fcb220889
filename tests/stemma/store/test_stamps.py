"""Does an artifact stand as it was put there: stamps answer where they are the same, bytes where they are not."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from stemma.base import digest
from stemma.store import artifact
from stemma.store.stamps import Stamps
from tests.stemma.strays import DAMAGES, damage_delete
from tests.stemma.yard import OUTPUTS, Yard

NAMES = ("parts/a.txt", "parts/b.txt", "parts/manifest.json", "joined.txt", "final.txt")


@pytest.fixture
def here(half: Yard, tmp_path: Path) -> Path:
    """A copy of what was built, hard links included: every stamp is another."""
    shutil.copytree(half.path / "results", tmp_path / "results", symlinks=True)
    with contextlib.chdir(tmp_path):
        yield tmp_path


def faults(stamps: Stamps) -> list[str]:
    """Of all that was built."""
    paths = [Path(path) for _, path in OUTPUTS.values()]
    found = [stamps.fault(path, artifact.read_pointer(path).files) for path in paths]
    return [fault for fault in found if fault]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_damage_is_told(here: Path, damage, name: str):
    stamps = Stamps()
    assert faults(stamps) == []
    stamps.save()
    damage(here / "results" / name)
    what = "is missing" if damage is damage_delete else "was changed"
    for again in (stamps, Stamps(), Stamps(here / "nothing-learned")):
        assert faults(again) == [f"results/{name} {what}"]


def test_bytes_are_read_once(here: Path, monkeypatch):
    stamps = Stamps()
    assert faults(stamps) == []
    stamps.save()
    monkeypatch.setattr(digest, "of_entry", lambda _, name: pytest.fail(f"{name} is read again"))
    assert faults(Stamps()) == []


def test_another_name_of_a_file_that_is_known_is_not_read(half: Yard, monkeypatch):
    """Two artifacts of one content have one inode, whose time of change is that of the last link to it."""
    monkeypatch.setattr(digest, "of_entry", lambda _, name: pytest.fail(f"{name} is read"))
    with contextlib.chdir(half.path):
        assert faults(Stamps()) == []
        before = artifact.read_pointer(Path("results/joined.txt"))
        sha256, *stamp = before.files["joined.txt"]
        assert Stamps().fault(Path("results/joined.txt"), {"joined.txt": [sha256, *stamp[:2], 0, stamp[3]]}) is None


@pytest.mark.parametrize(
    "entry", [None, [], [1], "abc", ["abc"], ["abc", 1, 2, "3", 4], ["a" * 64, 1, 2, {}, 4], {"a": 1}]
)
def test_entries_that_are_none_are_passed_over(here: Path, entry):
    """Another artifact's pointer may hold anything; it says nothing about the ones that are asked about."""
    pointer = json.loads((here / "results/.records/joined.txt.json").read_text())
    (here / "results/.records/strange.json").write_text(json.dumps(pointer | {"files": {"x": entry}}))
    (here / "results/.records/stamps.json").write_text(json.dumps({f"results/{name}": entry for name in NAMES}))
    assert faults(Stamps()) == []


def test_a_name_that_no_file_can_have(here: Path):
    """Others may have written it into a pointer."""
    value = json.loads(Path("results/.records/joined.txt.json").read_text())
    [entry] = value["files"].values()
    assert artifact.Pointer.of_json(value | {"files": {"a\0b": entry}}) is None
    long = artifact.Pointer.of_json(value | {"files": {"x" * 5000: entry}})
    assert "cannot be looked at (file name too long)" in Stamps().fault(Path("results/joined.txt"), long.files)
