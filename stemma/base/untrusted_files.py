"""Reads files in places where others can write: without blocking, through no link, up to a size limit.

A directory is opened component by component, so nobody can exchange one for a link between a check and its use. The
content may be anything: the caller hashes it or checks a signature afterwards.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from stemma.base.files import reflink

NOT_PLAIN = (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENODEV)  # a link, a socket, a directory, a device
BLOCK = 1 << 24


class Unusable(Exception):
    """Why a file in a place where others may write is not used, in a few words."""


def read_plain(path: Path | str, limit: int, folder: int | None = None) -> bytes | None:
    """Read a file; None where there is none. `folder`: the descriptor of the directory that `path` is relative to.

    Raises Unusable for anything but a readable regular file of at most `limit` bytes."""
    descriptor = open_plain(path, folder)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        size = check_plain(descriptor, limit)
        return file.read(size)  # bytes appended meanwhile are left out


def copy_plain(name: str, folder: int, target: Path, limit: int) -> bool:
    """Copy a file of an open directory to `target`; False where there is none. Raises as read_plain."""
    descriptor = open_plain(name, folder)
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as source, target.open("wb") as file:
        left = check_plain(descriptor, limit)
        if not reflink(descriptor, file.fileno()):
            while left > 0 and (sent := os.sendfile(file.fileno(), source.fileno(), None, min(left, BLOCK))):
                left -= sent
        check_plain(file.fileno(), limit)  # a clone may have grown since
    return True


def open_plain(path: Path | str, folder: int | None = None) -> int | None:
    """Open a file for reading; None where there is none. Raises Unusable for a directory and for what may not be read;
    it may still be a pipe or a device: check_plain refuses those."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise Unusable("may not be read") from None
    except OSError as error:
        if error.errno in NOT_PLAIN:
            raise Unusable("is no regular file") from None
        raise
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):  # to read one is no error until it is read
        os.close(descriptor)
        raise Unusable("is no regular file")
    return descriptor


def check_plain(descriptor: int, limit: int | None = None) -> int:
    """Return the size of an open regular file. Raises Unusable for anything else, and for more than `limit` bytes."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise Unusable("is no regular file")
    if limit is not None and found.st_size > limit:
        raise Unusable(f"has {found.st_size:,} bytes, {limit:,} at most were expected")
    return found.st_size


@contextlib.contextmanager
def folder_below(root: Path, *names: str, make: bool = False) -> Iterator[int]:
    """Open the directory root/name/name/..., following no link below the root.

    `make`: create missing ones with the mode of the root, whatever this process's umask, so that whoever may write to
    the root may write there too.

    Raises FileNotFoundError where one is missing and NotADirectoryError where something else stands in its place."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        for name in names:
            inner = enter(name, descriptor, mode if make else None)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def enter(name: str, folder: int, mode: int | None) -> int:
    """Open a directory in an open one. With a `mode`, create it if it is missing, and give it that mode if it is one's
    own."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if mode is not None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=folder)
    descriptor = os.open(name, flags, dir_fd=folder)
    found = os.fstat(descriptor)
    if mode is not None and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != mode:
        # The umask removed some bits, perhaps in a process that was killed before it could fix them.
        os.fchmod(descriptor, mode)
    return descriptor


def is_own(path: Path) -> bool:
    """Does a directory with all that is in it belong to this user, or not exist? One that contains a link does not
    count."""
    try:
        found = [os.lstat(path)]
        for folder, folders, names in os.walk(path):
            found += [os.lstat(Path(folder, name)) for name in (*folders, *names)]
    except FileNotFoundError:
        return not os.path.lexists(path)
    links = any(stat.S_ISLNK(one.st_mode) for one in found)
    return stat.S_ISDIR(found[0].st_mode) and not links and all(one.st_uid == os.geteuid() for one in found)
