"""What is said of disks, permissions, stores and keys, each with a place that is wrong."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stemma.base.settings import Settings
from stemma.doctor import places
from stemma.doctor.finding import Finding
from stemma.provenance.dsse import make_key
from tests.stemma.provenance.test_users import environment, interpreter
from tests.stemma.store.test_full_disks import tmpfs

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, and mount")
STORE = "results/.store"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Of a directory in which nothing was built."""
    with contextlib.chdir(tmp_path):
        yield Settings(key=str(tmp_path / "key.pem"))


def bad(found: Iterator[Finding]) -> list[tuple[str, str]]:
    """(level, text) of what is not fine."""
    return [(finding.level, finding.text) for finding in found if finding.level != "fine"]


def test_where_nothing_was_built_all_is_fine_and_nothing_is_left(settings: Settings, tmp_path: Path):
    for part in (places.permissions, places.stores, places.keys):
        assert bad(part(settings)) == []
    assert list(tmp_path.iterdir()) == []


@root
@pytest.mark.parametrize(("size", "level"), [("500m", "stop"), ("3g", "note"), ("20g", None)])
def test_a_small_disk(settings: Settings, tmp_path: Path, size: str, level: str | None):
    """A store on a disk of its own: that takes room twice, too."""
    with tmpfs(tmp_path / "disk", size) as disk:
        told = [item for item in bad(places.disks(replace(settings, store=str(disk)))) if str(disk) in item[1]]
        assert [item[0] for item in told] == ([level] if level else [])
        assert all("free for store" in text and "gc --dry-run" in text for _, text in told)
        twice = ("note", "results/ and the store are on two file systems: artifacts are copied and take twice the room")
        assert twice in bad(places.disks(replace(settings, store=str(disk))))


@root
def test_a_disk_without_room_for_files(settings: Settings, tmp_path: Path):
    with tmpfs(tmp_path / "disk", "20g,nr_inodes=500") as disk:
        assert [item for item in bad(places.disks(replace(settings, store=str(disk)))) if "more files" in item[1]]


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("results", "results is no directory; move it away"),
        (".snakemake", ".snakemake is no directory; move it away"),
        (f"{STORE}/records", f"{STORE}/records is no directory; move it away"),
    ],
)
def test_a_file_where_a_directory_belongs(settings: Settings, tmp_path: Path, taken: str, said: str):
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).write_text("")
    assert any(level == "stop" and said in text for level, text in bad(places.permissions(settings)))


@root
def test_places_of_another_user():
    """All that root has built, looked at by who may only read it, or not even that."""
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / STORE / "objects/ab").mkdir(parents=True)
        code = (
            "from stemma.base.settings import Settings\nfrom stemma.doctor import places\n"
            "for found in places.permissions(Settings()): print(found.level, found.text)"
        )
        (place / STORE / "objects/ab").chmod(0o700)
        number = 54_002
        done = subprocess.run(
            [interpreter(number), "-c", code], cwd=place, env=environment(place), capture_output=True, text=True,
            check=True, user=number, group=number, extra_groups=(),
        )  # fmt: skip
        said = done.stdout.splitlines()
        assert (
            "stop results: results cannot be written to: permission denied (it is user 0's, you are 54002); make it "
            "writable, or name another" in said
        )
        assert any(
            line.startswith(f"stop {STORE}/objects/ab cannot be read, as 1 of the store's objects") for line in said
        )


@root
def test_a_disk_that_is_read_only(settings: Settings, tmp_path: Path):
    with tmpfs(tmp_path / "disk", "100m,ro") as disk:
        told = bad(places.permissions(replace(settings, store=str(disk))))
        assert (
            "stop",
            f"store: {disk} cannot be written to: read-only file system; make it writable, or name another",
        ) in told


@pytest.mark.parametrize(
    ("shared", "level", "said"),
    [
        ("missing", "note", "the directory is not there; mount or make it; builds go on without it"),
        ("http://example.org/store", "stop", "is neither a directory nor s3://bucket/prefix"),
    ],
)
def test_a_shared_store_that_cannot_be_used(settings: Settings, shared: str, level: str, said: str):
    [(found, text)] = bad(places.stores(replace(settings, shared=shared)))
    assert found == level and said in text


@root
def test_a_shared_store_that_can_only_be_read(settings: Settings, tmp_path: Path):
    with tmpfs(tmp_path / "shared", "1m,ro") as shared:
        [(level, text)] = bad(places.stores(replace(settings, shared=str(shared))))
        assert level == "note" and "is shared with nobody" in text
    (tmp_path / "well").mkdir()
    assert bad(places.stores(replace(settings, shared="well"))) == []


def test_keys(settings: Settings, tmp_path: Path):
    key = tmp_path / "key.pem"
    make_key(key)
    assert bad(places.keys(settings)) == []
    key.chmod(0o644)
    [(level, text)] = bad(places.keys(settings))
    assert level == "note" and text.endswith(f"chmod 600 {key}")
    key.write_text("no key")
    [(level, text)] = bad(places.keys(settings))
    assert level == "stop" and "cannot be read as a private key" in text
    [(level, text)] = bad(places.keys(replace(settings, key=str(key / "inner.pem"))))
    assert level == "stop" and "is no directory; move it away" in text
    key.unlink()
    [(level, text)] = bad(places.keys(replace(settings, trusted=("nobody.pem",))))
    assert level == "stop" and "nobody.pem cannot be read as a public key" in text
