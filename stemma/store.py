"""The content store: objects named by the SHA-256 of their bytes, records named by their action key.

    objects/ab/cdef...      read-only files
    records/ab/cdef....json what one job made, see stemma/record.py; it is also the action cache's entry
    tmp/<host>-<pid>-.../   where a job writes before its outputs are known

Everything enters by rename, so at any instant the store is valid; what a killed job leaves in tmp is swept by the next.
The store does not know paths in results/, rules or keys' meaning.
"""

import errno
import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path

from stemma import digest
from stemma.digest import write_atomically
from stemma.envelope import opened
from stemma.settings import Settings

FICLONE = 0x40049409  # ioctl of <linux/fs.h>: share the blocks of another file, copy on write


class Store:
    """A store in one directory, made on first use."""

    def __init__(self, path: Path):
        self.path = path
        self.prefix = f"{socket.gethostname()}-"

    @staticmethod
    def of(settings: Settings) -> "Store":
        """The store of a run."""
        return Store(Path(settings.store))

    def object_path(self, sha256: str) -> Path:
        """Where the object with this digest lies, if it does."""
        return self.path / "objects" / sha256[:2] / sha256[2:]

    def record_path(self, key: str) -> Path:
        """Where the record with this action key lies, if it does."""
        return self.path / "records" / key[:2] / f"{key[2:]}.json"

    def is_sound(self, sha256: str) -> bool:
        """Is the object here with the bytes its name states? A damaged one is removed, so that it is made again."""
        path = self.object_path(sha256)
        if not path.is_file():
            return False
        if digest.of_file(path) == sha256:
            return True
        path.unlink(missing_ok=True)
        return False

    def add(self, path: Path) -> str:
        """Move a file of this file system into the store and return its digest; hashing is the only reading."""
        sha256 = digest.of_file(path)
        target = self.object_path(sha256)
        if self.is_sound(sha256):
            path.unlink()
            return sha256
        target.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o444)
        path.replace(target)
        return sha256

    def add_bytes(self, data: bytes) -> str:
        """Store some bytes and return their digest."""
        sha256 = digest.of_bytes(data)
        if not self.is_sound(sha256):
            write_atomically(self.object_path(sha256), data, mode=0o444)
        return sha256

    def link(self, sha256: str, target: Path) -> None:
        """Put the object at `target` in one step: a reflink where the file system can, else hard link or copy."""
        source = self.object_path(sha256)
        if target.exists() and target.samefile(source):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            place(source, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def read_envelope(self, key: str) -> bytes | None:
        """The signed record of an action, as it was written; None where there is none."""
        try:
            return self.record_path(key).read_bytes()
        except FileNotFoundError:
            return None

    def read_record(self, key: str) -> dict | None:
        """The record of an action, its signature not looked at; None where there is none or it is not whole."""
        envelope = self.read_envelope(key)
        return opened(envelope) if envelope else None

    def write_record(self, key: str, envelope: bytes) -> None:
        """Publish a signed record; its objects must be in the store already."""
        write_atomically(self.record_path(key), envelope, mode=0o444)

    def workspace(self) -> Path:
        """A fresh directory to build in, on the store's file system. Removes what dead jobs of this host left."""
        parent = self.path / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.glob(f"{self.prefix}*"):
            if not is_alive(int(old.name.removeprefix(self.prefix).split("-")[0])):
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{self.prefix}{os.getpid()}-", dir=parent))


def place(source: Path, target: Path) -> None:
    """Make `target` have the bytes of `source` as cheaply as the file system allows."""
    if reflink(source, target):
        target.chmod(0o444)
        return
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(source, target)
        target.chmod(0o444)


def reflink(source: Path, target: Path) -> bool:
    """Clone a file copy-on-write; False where the file system cannot."""
    with source.open("rb") as origin, target.open("wb") as clone:
        try:
            fcntl.ioctl(clone.fileno(), FICLONE, origin.fileno())
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS):
                return False
            raise
    return True


def is_alive(pid: int) -> bool:
    """Does a process with this id run on this host? A zombie does not, though containers without an init keep it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
