"""The store is valid at any instant, and never serves a byte it cannot vouch for."""

import contextlib
import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.files import place, stamp_of
from stemma.store import artifact
from stemma.store.local import Store
from stemma.store.placement import restore


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def stored(store: Store, data: bytes) -> str:
    with store.workspace() as workspace:
        file = workspace / "file"
        file.write_bytes(data)
        return store.add(file)


def test_add(store):
    sha256 = stored(store, b"abc")
    assert sha256 == digest.of_bytes(b"abc")
    assert store.object_path(sha256).read_bytes() == b"abc"
    assert not store.object_path(sha256).stat().st_mode & 0o222


def test_a_file_with_another_name_is_copied(store, tmp_path):
    """A script hard-links a file of the user's into its output: neither its mode nor its later bytes are shared."""
    (tmp_path / "mine").write_bytes(b"abc")
    with store.workspace() as workspace:
        (workspace / "file").hardlink_to(tmp_path / "mine")
        sha256 = store.add(workspace / "file")
    assert (tmp_path / "mine").stat().st_mode & 0o200
    assert not (tmp_path / "mine").samefile(store.object_path(sha256))
    (tmp_path / "mine").write_bytes(b"abb")
    assert store.is_sound(sha256)


def test_bytes_are_on_the_disk_before_the_name_is(store, monkeypatch):
    """After a power cut no object is there whose bytes are not."""
    done = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (fsync(file), done.append(("fsync", os.fstat(file).st_ino))))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append(("name", Path(a).stat().st_ino)), rename(a, b)))
    places = [store.object_path(stored(store, b"abc")), store.object_path(store.add_bytes(b"bytes"))]
    store.write_record("ab" * 32, b"record")
    for path in (*places, store.record_path("ab" * 32)):
        inode = path.stat().st_ino
        assert done.index(("fsync", inode)) < done.index(("name", inode))


def test_flipped_bit_is_found_before_use(store):
    sha256 = stored(store, b"abc")
    store.object_path(sha256).chmod(0o644)
    store.object_path(sha256).write_bytes(b"abb")
    assert not store.is_sound(sha256)
    assert stored(store, b"abc") == sha256
    assert store.is_sound(sha256)


def test_copy_where_links_are_impossible(store, tmp_path, monkeypatch):
    sha256 = stored(store, b"abc")

    def refuse(*_, **__):
        raise OSError(errno.EXDEV, "cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    place(store.object_path(sha256), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"abc"
    assert not (tmp_path / "copy").samefile(store.object_path(sha256))
    assert not (tmp_path / "copy").stat().st_mode & 0o222


def test_racing_writers_leave_one_sound_object(store):
    def write():
        for _ in range(20):
            stored(store, b"the same bytes")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.is_sound(digest.of_bytes(b"the same bytes"))


def test_workspaces_of_dead_processes_are_swept(store):
    pid = os.fork()
    if pid == 0:
        with store.workspace() as workspace:
            (workspace / "left").write_text("behind")
            os._exit(0)
    os.waitpid(pid, 0)
    assert len(list((store.path / "tmp").iterdir())) == 1
    with store.workspace() as kept:
        assert [path.name for path in (store.path / "tmp").iterdir()] == [kept.name]
    assert list((store.path / "tmp").iterdir()) == []


@given(
    st.dictionaries(
        st.text("abc/", min_size=1, max_size=6).filter(lambda n: "//" not in n and n.strip("/") == n),
        st.binary(max_size=20),
        min_size=1,
        max_size=6,
    )
)
def test_directory_round_trip(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("round")
    names = {name for name in files if not any(other.startswith(f"{name}/") for other in files)}
    store, built = Store(root / "store"), root / "store/tmp/built"
    for name in names:
        (built / name).parent.mkdir(parents=True, exist_ok=True)
        (built / name).write_bytes(files[name])
    sha256 = artifact.absorb(store, built)
    target = Path("results/out/manifest.json")
    with contextlib.chdir(root):
        assert artifact.restorable(store, target, sha256)
        put = restore(store, target, sha256)
        assert {n: (target.parent / n).read_bytes() for n in names} == {n: files[n] for n in names}
        assert {n: entry[0] for n, entry in put.items()} == artifact.listed(target) | {"manifest.json": sha256}
        assert all(stamp == stamp_of((target.parent / n).stat()) for n, (_, *stamp) in put.items())
        assert digest.of_bytes(artifact.manifest_of(target.parent)) == sha256


def test_missing_record_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    Path("results/x.txt").write_text("x")
    with pytest.raises(StemmaError, match="results/x.txt has no record"):
        artifact.verify(Path("results/x.txt"))
