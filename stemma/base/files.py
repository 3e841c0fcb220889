"""Files in one step: linked, cloned or copied to a place, and scratch space that is swept when its process has died.

What enters a place under its name has its bytes on the disk before; nothing is written through a link.

Scratch names begin with host and process id, so that every process of a host can tell what nobody needs any more; what
another host left is never touched. Knows nothing of the store's layout.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from stemma.base.process import is_alive

BLOCK = 1 << 20
PARENT = "STEMMA_PARENT"  # the process that a job does not outlive
TEMPORARY = re.compile(r"\..+~.+-\d+-tmp", re.DOTALL)
FICLONE = 0x40049409  # ioctl of <linux/fs.h>: share the blocks of another file, copy on write
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
NO_CLONE = (errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS)


def stamp_of(found: os.stat_result) -> list[int]:
    """What changes when a file is written, whoever sets its times back: size, both times in nanoseconds, inode."""
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def place(source: Path, target: Path | str, folder: int | None = None) -> bool:
    """Make `target`, a new name, have the bytes of `source` as cheaply as the file system allows, read-only. `folder`:
    the open directory that it is relative to. A file that another user could write to is copied, not linked.

    Is the source one's own? If not, it may have changed after it was last looked at. Raises FileNotFoundError where it
    is gone, or no file any more."""
    with open_regular(source) as origin:
        found = os.fstat(origin.fileno())
        own = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if clone(origin, target, folder) or own and link(source, found, target, folder):
            return own
        write_copy(origin, target, folder)
    return own


def clone(origin: IO[bytes], target: Path | str, folder: int | None) -> bool:
    """Share the blocks of an open file with a new one, copy on write; False where the file system cannot."""
    with created(target, folder) as file:
        if reflink(origin.fileno(), file.fileno()):
            os.fchmod(file.fileno(), 0o444)
            return True
    os.unlink(target, dir_fd=folder)
    return False


def link(source: Path, found: os.stat_result, target: Path | str, folder: int | None) -> bool:
    """Give a file another name, if it is still the one that was `found`; False if not, or where that cannot be."""
    try:
        os.link(source, target, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        return False
    now = os.stat(target, dir_fd=folder, follow_symlinks=False)
    if (now.st_dev, now.st_ino) == (found.st_dev, found.st_ino):
        return True
    os.unlink(target, dir_fd=folder)
    return False


def copy(source: Path, target: Path | str, folder: int | None = None) -> None:
    """Make `target`, a new name, a file of its own with the bytes of `source`, read-only: damage to one does not reach
    the other."""
    with source.open("rb") as origin:
        if not clone(origin, target, folder):
            write_copy(origin, target, folder)


def write_copy(origin: IO[bytes], target: Path | str, folder: int | None) -> None:
    """Write the rest of an open file to a new, read-only one."""
    with created(target, folder) as file:
        shutil.copyfileobj(origin, file, BLOCK)
        os.fchmod(file.fileno(), 0o444)


def open_regular(path: Path) -> IO[bytes]:
    """Open a file that stands under its name itself. Raises FileNotFoundError for anything else, without waiting."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise FileNotFoundError(errno.ENOENT, "is a link", str(path)) from None
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise FileNotFoundError(errno.ENOENT, "is no file", str(path))


def created(name: Path | str, folder: int | None = None, mode: str = "wb") -> IO:
    """A new file to write to. Raises FileExistsError where the name is taken, were it by a link that leads nowhere."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), mode)


def is_plain(path: Path | str, folder: int | None = None) -> bool:
    """Is it a regular file itself, no link, pipe or device that somebody else put in its place? `folder`: the
    descriptor of the directory that it is in."""
    try:
        return stat.S_ISREG(os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode)  # noqa: PTH116
    except FileNotFoundError:
        return False


def reflink(source: int, target: int) -> bool:
    """Clone an open file copy-on-write; False where the file system cannot."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in NO_CLONE:
            return False
        raise
    return True


def move(source: Path, target: Path) -> None:
    """Rename a file of this file system to its place, read-only, its bytes first on the disk: a name that outlives a
    power cut never stands for an empty file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    settle(source)
    source.replace(target)


def move_to_free(source: Path, target: Path) -> None:
    """The same, but what is there already stays: raises FileExistsError. Also between two processes, also on NFS."""
    target.parent.mkdir(parents=True, exist_ok=True)
    settle(source)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        if target.exists():  # no links here: then the last of two racing processes wins
            raise FileExistsError(errno.EEXIST, "is there already", str(target)) from None
        source.replace(target)


def settle(file: Path) -> None:
    """Make a file read-only and have its bytes on the disk."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
    return target.with_name(temporary_name(target.name))


def temporary_name(name: str) -> str:
    """The same for a name in an open directory."""
    return f".{name}~{socket.gethostname()}-{os.getpid()}-tmp"


def is_temporary(name: str) -> bool:
    """Is it a name of `beside`, of whatever process on whatever host?"""
    return bool(TEMPORARY.fullmatch(name))


def is_abandoned(name: str) -> bool:
    """Is it a name of `beside` whose process died before it could rename?"""
    return is_temporary(name) and owner_is_dead(name.rpartition("~")[2])


def scratch_name() -> str:
    """A new name that says whose it is, as those of scratch directories do."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}"


def owner_is_dead(name: str) -> bool:
    """Does a scratch name belong to a process of this host that runs no more? Of other hosts nobody can say."""
    host, _, rest = name.rpartition("-")[0].rpartition("-")
    return host == socket.gethostname() and rest.isdigit() and not is_alive(int(rest))
