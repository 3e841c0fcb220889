"""Files in one step: linked, cloned or copied to a place, and scratch space that is swept when its process has died.

Scratch names begin with host and process id, so that every process of a host can tell what nobody needs any more; what
another host left is never touched. Knows nothing of the store's layout.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

FICLONE = 0x40049409  # ioctl of <linux/fs.h>: share the blocks of another file, copy on write
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
NO_CLONE = (errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS)


def place(source: Path, target: Path) -> None:
    """Make `target` have the bytes of `source` as cheaply as the file system allows, read-only."""
    if reflink(source, target):
        target.chmod(0o444)
        return
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copyfile(source, target)
        target.chmod(0o444)


def copy(source: Path, target: Path) -> None:
    """Make `target` a file of its own with the bytes of `source`, read-only: damage to one does not reach the other."""
    if not reflink(source, target):
        shutil.copyfile(source, target)
    target.chmod(0o444)


def is_plain(path: Path) -> bool:
    """Is it a regular file itself, no link, pipe or device that somebody else put in its place?"""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def reflink(source: Path, target: Path) -> bool:
    """Clone a file copy-on-write; False where the file system cannot."""
    with source.open("rb") as origin, target.open("wb") as clone:
        try:
            fcntl.ioctl(clone.fileno(), FICLONE, origin.fileno())
        except OSError as error:
            if error.errno in NO_CLONE:
                return False
            raise
    return True


def move(source: Path, target: Path) -> None:
    """Rename a file of this file system to its place, read-only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.chmod(0o444)
    source.replace(target)


def move_to_free(source: Path, target: Path) -> None:
    """The same, but what is there already stays: raises FileExistsError. Also between two processes, also on NFS."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.chmod(0o444)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        if target.exists():  # no links here: then the last of two racing processes wins
            raise FileExistsError(errno.EEXIST, "is there already", str(target)) from None
        source.replace(target)


@contextlib.contextmanager
def where_writable() -> Iterator[None]:
    """For what is good to have done: skip it where the file system allows no writing."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise


@contextlib.contextmanager
def scratch_file(parent: Path) -> Iterator[Path]:
    """A path for a file that is to be renamed away; whatever still lies there at the end is removed."""
    with scratch_directory(parent) as directory:
        yield directory / "file"


@contextlib.contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """A fresh directory, removed at the end. Removes what dead processes of this host left beside it."""
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.iterdir():
        if owner_is_dead(old.name):
            shutil.rmtree(old, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{socket.gethostname()}-{os.getpid()}-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def beside(target: Path) -> Path:
    """A name in the target's directory for what is to be renamed to it; hidden, and this process's own."""
    return target.with_name(f".{target.name}~{socket.gethostname()}-{os.getpid()}-tmp")


def is_abandoned(path: Path) -> bool:
    """Does a name of `beside` stand there whose process died before it could rename?"""
    hidden, mark, owner = path.name.rpartition("~")
    return bool(mark) and hidden.startswith(".") and owner_is_dead(owner)


def owner_is_dead(name: str) -> bool:
    """Does a scratch name belong to a process of this host that runs no more? Of other hosts nobody can say."""
    host, _, rest = name.rpartition("-")[0].rpartition("-")
    return host == socket.gethostname() and rest.isdigit() and not is_alive(int(rest))


def is_alive(pid: int) -> bool:
    """Does a process with this id run on this host? A zombie does not, though containers without an init keep it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # not Linux, or gone a moment ago: then the next one sweeps
        return True
    return status.rpartition(")")[2].split()[0] != "Z"
