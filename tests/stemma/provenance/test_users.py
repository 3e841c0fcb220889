"""A shared directory between Unix users: members of its group share whatever their umask, others may lose it alone."""

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stemma.provenance.dsse import public_pem
from stemma.store.local import object_name, record_name
from tests.stemma.conftest import REPOSITORY
from tests.stemma.store.test_remote import action_of
from tests.stemma.yard import RULES, Yard, how_of, make_yard

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
GROUP = 54_321
UMASK = 0o077  # the strictest there is


@dataclass
class User:
    """Somebody with a checkout of his own."""

    yard: Yard
    number: int
    groups: tuple[int, ...]

    def run(self, rule: str) -> tuple[str, list[str]]:
        """(hit or run, warnings) of a job, which must succeed."""
        command = [interpreter(self.number), *self.yard.command(rule)[1:]]
        done = subprocess.run(
            command, cwd=self.yard.path, env=environment(self.yard.path), capture_output=True, text=True, check=False,
            user=self.number, group=self.number, extra_groups=self.groups, umask=UMASK,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return how_of(done.stderr), [line for line in done.stderr.splitlines() if line.startswith("warning:")]

    def build(self) -> list[str]:
        """hit or run, of each of the three; nothing is warned of."""
        found = [self.run(rule) for rule in RULES]
        assert [warnings for _, warnings in found] == [[]] * 3
        return [how for how, _ in found]


def environment(home: Path) -> dict[str, str]:
    """Of a process that is nobody's here: this repository and its packages, a home of its own."""
    packages = f"{REPOSITORY}{os.pathsep}{sysconfig.get_path('purelib')}"
    own = {"HOME": str(home), "STEMMA_ROOT": str(home), "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PATH": os.defpath} | own


def interpreter(user: int) -> str:
    """A Python of this version that the user may run; this one may lie in root's home."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(name, path="/usr/local/bin:/usr/bin")):
        try:
            subprocess.run(
                [candidate or "", "-c", "import cryptography, fastjsonschema"], env=environment(Path("/")), user=user,
                group=user, extra_groups=(), check=True, capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip(f"no {name} here that another user may run")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everyone can reach; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def shared(place: Path) -> Path:
    """A shared directory as docs/shared-store.md says: the group's, with the set-group-ID bit."""
    (place / "shared").mkdir()
    os.chown(place / "shared", 0, GROUP)
    (place / "shared").chmod(0o2775)
    return place / "shared"


@pytest.fixture
def users(place: Path, shared: Path) -> list[User]:
    """Two members of the group and one who is not; each trusts all."""
    made = []
    for number, groups in ((54_001, (GROUP,)), (54_002, (GROUP,)), (54_003, ())):
        yard = make_yard(place / str(number), shared=str(shared))
        (yard.path / "key.pub").write_bytes(public_pem(yard.keyring.signer.public_key()))
        made.append(User(yard, number, groups))
    trusted = tuple(str(user.yard.path / "key.pub") for user in made)
    for user in made:
        user.yard.settings = replace(user.yard.settings, trusted=trusted)
        for path in (user.yard.path, *user.yard.path.rglob("*")):
            os.chown(path, user.number, user.number)
    return made


def test_members_share_whatever_their_umask(users: list[User], shared: Path):
    one, two, _ = users
    assert one.build() == ["run"] * 3
    assert two.build() == ["hit"] * 3
    two.yard.times = 3
    assert two.build() == ["run"] * 3
    one.yard.times = 3
    assert one.build() == ["hit"] * 3
    assert one.yard.digests() == two.yard.digests()
    for path in (shared, *shared.rglob("*")):
        mode, found = stat.S_IMODE(path.lstat().st_mode), path.lstat()
        assert found.st_gid == GROUP, path
        assert mode == (0o2775 if path.is_dir() else 0o444), path
    assert list((shared / "tmp").iterdir()) == []


def test_what_another_member_left_damaged_is_replaced(users: list[User], shared: Path):
    one, two, _ = users
    one.build()
    record = shared / record_name(action_of(one.yard, "results/final.txt"))
    sha256 = one.yard.digests()["joined.txt"]
    for path in (record, shared / object_name(sha256)):
        os.truncate(path, 10)
        path.chmod(0)
    assert two.run("first") == ("hit", [])
    for rule, path in (("second", shared / object_name(sha256)), ("third", record)):
        how, [warning] = two.run(rule)
        assert how == "run"
        assert f"{path} may not be read" in warning
        assert path.stat().st_uid == two.number
    shutil.rmtree(one.yard.path / "results")
    assert one.build() == ["hit"] * 3
    assert one.yard.digests() == two.yard.digests()


def test_who_is_no_member_may_read_and_not_write(users: list[User], shared: Path):
    one, _, other = users
    one.build()
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("*")}
    assert other.build() == ["hit"] * 3
    other.yard.times = 3
    how, [warning] = other.run("first")
    assert how == "run"
    assert f"the shared store {shared} cannot be used (permission denied)" in warning
    shared.chmod(0o2770)
    for rule, how in (("second", "run"), ("third", "run")):
        found, [warning] = other.run(rule)
        assert found == how
        assert f"the shared store {shared} cannot be used (permission denied)" in warning
    assert {path: path.stat().st_mtime_ns for path in shared.rglob("*")} == before
