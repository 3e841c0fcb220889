"""What another user may put into a store that is shared: nothing of it is waited for, followed, or used unverified."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stemma.base import digest
from stemma.store import artifact
from stemma.store.local import Store, object_name, record_name
from stemma.store.manifest import read_members
from stemma.store.remote import SharedDirectory
from tests.stemma.execute.test_faults import copy_of
from tests.stemma.store.test_remote import ALL_HIT, action_of
from tests.stemma.yard import Yard, check_pointers, check_store, filled_team, make_yard

STRANGER = 65534  # nobody


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_out(path: Path) -> None:
    """To the right bytes, but where somebody else can change them later."""
    path.symlink_to(path.parent.parent.parent.parent / "outside")


def gone(path: Path) -> None:
    path.symlink_to("nowhere")


def other_bytes(path: Path) -> None:
    path.write_bytes(b"not what the name says")


def writable(path: Path) -> None:
    path.write_bytes((path.parent.parent.parent.parent / "outside").read_bytes())
    path.chmod(0o666)


def foreign(path: Path) -> None:
    writable(path)
    if os.geteuid() == 0:
        os.chown(path, STRANGER, STRANGER)


@pytest.fixture
def team(tmp_path: Path) -> tuple[Yard, Yard]:
    return filled_team(tmp_path)


def exchange(path: Path, put: Callable[[Path], None], outside: Path) -> None:
    """Another thing in place of a file of the shared store, whose bytes now lie outside."""
    path.rename(outside)
    put(path)


@pytest.mark.parametrize("put", [pipe, device, link_out, gone, other_bytes, writable, foreign])
def test_object(team: tuple[Yard, Yard], tmp_path: Path, put: Callable[[Path], None]) -> None:
    """What has the right bytes and is a file is served as a copy that is one's own; else the job runs."""
    one, two = team
    record = one.records.read(action_of(one, "results/joined.txt"))
    sha256 = record.outputs[0].sha256
    place = tmp_path / "shared" / object_name(sha256)
    exchange(place, put, tmp_path / "outside")
    good = put in (writable, foreign)
    assert two.build() == (ALL_HIT if good else ["hit", "run", "hit"])
    assert two.digests() == one.digests()
    kept = two.store.object_path(sha256)
    assert kept.lstat().st_uid == os.geteuid()
    assert kept.lstat().st_mode & 0o7777 == 0o444
    assert not (good and kept.samefile(place))
    if not good:  # what was built stands there now
        assert place.is_file()
        assert not place.is_symlink()
    check_store(two.store, two.keyring)
    check_pointers(two)


@pytest.mark.parametrize("put", [pipe, device, gone, other_bytes])
def test_record(team: tuple[Yard, Yard], tmp_path: Path, put: Callable[[Path], None]) -> None:
    one, two = team
    exchange(tmp_path / "shared" / record_name(action_of(one, "results/final.txt")), put, tmp_path / "outside")
    assert two.build() == ["hit", "hit", "run"]
    check_store(two.store, two.keyring)


def huge(path: Path) -> None:
    """More than any disk has, of which none is written."""
    with path.open("wb") as file:
        file.truncate(1 << 43)


def test_object_that_would_fill_the_disk(team: tuple[Yard, Yard], tmp_path: Path) -> None:
    """Of a file as much as the disk can take is copied, of a manifest what one can have, of a member what it states."""
    one, two = team
    manifest, joined = (
        one.records.read(action_of(one, path)).outputs[0].sha256
        for path in ("results/parts/manifest.json", "results/joined.txt")
    )
    member = read_members(one.path / "results/parts/manifest.json")[0]
    store = Store(tmp_path / "store", SharedDirectory(tmp_path / "shared"))
    assert artifact.restorable(store, Path("results/parts/manifest.json"), manifest)
    for sha256, path in ((member.sha256, "results/parts/manifest.json"), (manifest, "x/manifest.json"), (joined, "x")):
        exchange(tmp_path / "shared" / object_name(sha256), huge, tmp_path / "outside")
        shutil.rmtree(tmp_path / "store")
        asked = manifest if sha256 == member.sha256 else sha256
        assert not artifact.restorable(store, Path(path), asked)
        assert object_name(sha256) in store.unused
        (tmp_path / "outside").replace(tmp_path / "shared" / object_name(sha256))
    exchange(tmp_path / "shared" / object_name(joined), huge, tmp_path / "outside")
    assert two.build() == ["hit", "run", "hit"]  # and what was built stands there now
    assert (tmp_path / "shared" / object_name(joined)).stat().st_size < 100


@pytest.mark.parametrize("folder", ["objects", "records", "tmp", "objects/*", "records/*"])
def test_folder_that_leads_elsewhere(tmp_path: Path, folder: str) -> None:
    """Nothing is read or written there; one warning is given, and the build goes on."""
    (tmp_path / "shared").mkdir()
    yard = make_yard(tmp_path / "yard", shared=str(tmp_path / "shared"), key=str(tmp_path / "key.pem"))
    assert yard.run("first")[0] == 0
    outside = tmp_path / "outside"
    for path in list((tmp_path / "shared").glob(folder)):
        path.rename(outside / path.name if outside.exists() else outside)
        path.symlink_to(outside / path.name if (outside / path.name).is_dir() and "*" in folder else outside)
    before = {path: path.stat().st_mtime_ns for path in outside.rglob("*")} | {outside: outside.stat().st_mtime_ns}
    shutil.rmtree(yard.path / "results")
    yard.times = 3 if folder == "tmp" else 2  # there only what is published goes
    status, error = yard.run("first")
    assert status == 0, error
    [warning] = [line for line in error.splitlines() if line.startswith("warning:")]
    assert f"{tmp_path / 'shared'} cannot be used (not a directory)" in warning
    assert {path: path.stat().st_mtime_ns for path in outside.rglob("*")} | {
        outside: outside.stat().st_mtime_ns
    } == before
    check_store(yard.store, yard.keyring)


@pytest.mark.parametrize("put", [pipe, device, link_out])
def test_own_store_that_others_write_to(team: tuple[Yard, Yard], tmp_path: Path, put: Callable[[Path], None]) -> None:
    """A store that a team has in common: what stands in an object's place is replaced, no link of it gets out."""
    one, _ = team
    one.settings = type(one.settings)(**{**vars(one.settings), "shared": None})
    record = one.records.read(action_of(one, "results/joined.txt"))
    place = one.store.object_path(record.outputs[0].sha256)
    exchange(place, put, tmp_path / "outside")
    (one.path / "results/joined.txt").unlink()
    assert one.build() == ["hit", "run", "hit"]
    assert not (one.path / "results/joined.txt").is_symlink()
    check_store(one.store, one.keyring)


@pytest.fixture
def yard(tmp_path: Path, half: Yard) -> Yard:
    """One that is built."""
    return copy_of(half, tmp_path / "yard", 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("put", [writable, foreign])
def test_object_that_another_user_could_write_to_is_not_linked(yard: Yard, put: Callable) -> None:
    """Whoever writes to it later would change what stands in results/."""
    place = yard.store.object_path(yard.digests()["joined.txt"])
    exchange(place, put, yard.path / "results/outside")
    (yard.path / "results/joined.txt").unlink()
    assert yard.build() == ["hit"] * 3
    assert not (yard.path / "results/joined.txt").samefile(place)
    assert (yard.path / "results/joined.txt").stat().st_mode & 0o777 == 0o444
    check_pointers(yard)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("put", [pipe, gone, foreign])
def test_object_exchanged_after_it_was_hashed(yard: Yard, put: Callable) -> None:
    """Between the look at it and its use: it does not get into results/, the job runs instead."""
    place = yard.store.object_path(yard.digests()["joined.txt"])
    (yard.path / "results/joined.txt").unlink()
    (yard.path / "results/outside").write_bytes(b"forged")

    def exchange_once() -> None:
        real = digest.of_plain

        def of_plain(path: Path | str, folder: int | None = None) -> str | None:
            found = real(path, folder)
            if path == place.relative_to(yard.path) and not place.with_suffix(".seen").exists():
                place.with_suffix(".seen").touch()
                place.unlink()
                put(place)
            return found

        digest.of_plain = of_plain

    assert os.waitstatus_to_exitcode(yard.fork("second", exchange_once)) == 0
    place.with_suffix(".seen").unlink()  # it happened
    assert digest.of_file(yard.path / "results/joined.txt") == place.parent.name + place.name
    check_store(yard.store, yard.keyring)
    check_pointers(yard)
