"""Atomic file operations (link, reflink, copy, rename) and scratch space that is swept after its process has died.

A file has its bytes on the disk before it gets its final name; nothing is written through a symbolic link.

Scratch names begin with host and process id, so every process of a host can tell which ones are abandoned; those of
other hosts are never touched. The store's layout is defined elsewhere, in stemma/store/local.py.
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
PARENT = "STEMMA_PARENT"  # environment variable: the process id that a job must not outlive
TEMPORARY = re.compile(r"\..+~.+-\d+-tmp", re.DOTALL)
FICLONE = 0x40049409  # ioctl of <linux/fs.h>: share the blocks of another file, copy on write
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
NO_CLONE = (errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS)


def stamp_of(found: os.stat_result) -> list[int]:
    """Return what changes whenever a file is written, even if its mtime is set back: size, mtime and ctime in
    nanoseconds, inode."""
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def place(source: Path, target: Path | str, folder: int | None = None) -> bool:
    """Make `target`, a new name, a read-only file with the bytes of `source`, by reflink, hard link or copy: the
    cheapest that the file system allows. `folder`: the open directory that `target` is relative to. A file that another
    user could write to is never hard-linked.

    Returns whether the source is this user's own; if not, it may have changed since it was last hashed. Raises
    FileNotFoundError where it is gone or is no regular file any more."""
    with open_regular(source) as origin:
        found = os.fstat(origin.fileno())
        own = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if clone(origin, target, folder) or own and link(source, found, target, folder):
            return own
        write_copy(origin, target, folder)
    return own


def clone(origin: IO[bytes], target: Path | str, folder: int | None) -> bool:
    """Reflink an open file to a new one (copy on write); False where the file system cannot."""
    with created(target, folder) as file:
        if reflink(origin.fileno(), file.fileno()):
            os.fchmod(file.fileno(), 0o444)
            return True
    os.unlink(target, dir_fd=folder)
    return False


def link(source: Path, found: os.stat_result, target: Path | str, folder: int | None) -> bool:
    """Hard-link a file whose stat is `found`; False where it has been replaced since or the file system cannot."""
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
    """Make `target`, a new name, an independent read-only file with the bytes of `source`: damage to one does not reach
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
    """Open a regular file without following a link or waiting for a pipe. Raises FileNotFoundError for anything
    else."""
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
    """Create a file and open it for writing. Raises FileExistsError where the name is taken, even by a dangling
    link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), mode)


def is_plain(path: Path | str, folder: int | None = None) -> bool:
    """Is `path` itself a regular file, and not a link, pipe or device? `folder`: the descriptor of the directory that
    it is relative to."""
    try:
        return stat.S_ISREG(os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode)  # noqa: PTH116
    except FileNotFoundError:
        return False


def reflink(source: int, target: int) -> bool:
    """Make an open file share another's blocks, copy on write; False where the file system cannot."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in NO_CLONE:
            return False
        raise
    return True


def move(source: Path, target: Path) -> None:
    """Rename a file to its place on the same file system, read-only and fsynced first, so that after a power cut the
    name never stands for an empty file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    settle(source)
    source.replace(target)


def move_to_free(source: Path, target: Path) -> None:
    """Move like `move`, but never replace: raises FileExistsError where the name is taken. Safe between racing
    processes and on NFS."""
    target.parent.mkdir(parents=True, exist_ok=True)
    settle(source)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        if target.exists():  # no hard links here: the last of two racing processes wins
            raise FileExistsError(errno.EEXIST, "is there already", str(target)) from None
        source.replace(target)


def settle(file: Path) -> None:
    """Make a file read-only and flush its bytes to the disk."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def where_writable() -> Iterator[None]:
    """Run an optional write: skip it where the file system is read-only or permission is missing."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise


@contextlib.contextmanager
def scratch_file(parent: Path) -> Iterator[Path]:
    """Yield a path for a file that is to be renamed away; whatever still lies there at the end is removed."""
    with scratch_directory(parent) as directory:
        yield directory / "file"


@contextlib.contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """Yield a fresh directory, removed at the end. Directories that dead processes of this host left beside it go
    too."""
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
    """Return a temporary path in the target's directory, hidden and unique to this process, to be renamed to the
    target."""
    return target.with_name(temporary_name(target.name))


def temporary_name(name: str) -> str:
    """Return the temporary name that `beside` uses for `name`."""
    return f".{name}~{socket.gethostname()}-{os.getpid()}-tmp"


def is_temporary(name: str) -> bool:
    """Is it a temporary name made by `beside`, in any process on any host?"""
    return bool(TEMPORARY.fullmatch(name))


def is_abandoned(name: str) -> bool:
    """Is it a temporary name made by `beside` in a process that has died?"""
    return is_temporary(name) and owner_is_dead(name.rpartition("~")[2])


def scratch_name() -> str:
    """Return a new random name that begins with host and process id, as names of scratch directories do."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}"


def owner_is_dead(name: str) -> bool:
    """Does a scratch name belong to a process of this host that has ended? For other hosts the answer is no: it cannot
    be known."""
    host, _, rest = name.rpartition("-")[0].rpartition("-")
    return host == socket.gethostname() and rest.isdigit() and not is_alive(int(rest))
