"""Files in places where others can write: read without waiting, followed through no link, taken up to a bound.

A directory is reached component by component from an open descriptor, so nobody can exchange one for a link between a
check and its use. What lies there may be anything: whoever reads it hashes it or checks a signature afterwards.
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
    """Why something that others may have put there is not used, in a few words."""


def read_plain(path: Path | str, limit: int, folder: int | None = None) -> bytes | None:
    """The bytes of a file; None where there is none. `folder`: the descriptor of the directory that `path` is in.

    Raises Unusable for anything but a readable regular file of at most `limit` bytes."""
    descriptor = open_plain(path, folder)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        size = check_plain(descriptor, limit)
        return file.read(size)  # what is added meanwhile is none of it


def copy_plain(name: str, folder: int, target: Path, limit: int) -> bool:
    """Copy a file of an open directory to a new one of one's own; False where there is none. Raises as read_plain."""
    descriptor = open_plain(name, folder)
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as source, target.open("wb") as file:
        left = check_plain(descriptor, limit)
        if not reflink(descriptor, file.fileno()):
            while left > 0 and (sent := os.sendfile(file.fileno(), source.fileno(), None, min(left, BLOCK))):
                left -= sent
        check_plain(file.fileno(), limit)  # a clone is of all that has come to be there
    return True


def open_plain(path: Path | str, folder: int | None = None) -> int | None:
    """Open a file for reading; None where there is none. It may still be a pipe or a device: check_plain tells."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(path, flags, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise Unusable("may not be read") from None
    except OSError as error:
        if error.errno in NOT_PLAIN:
            raise Unusable("is no regular file") from None
        raise


def check_plain(descriptor: int, limit: int | None = None) -> int:
    """Size of an open regular file. Raises Unusable for anything else, and for more than `limit` bytes."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise Unusable("is no regular file")
    if limit is not None and found.st_size > limit:
        raise Unusable(f"has {found.st_size:,} bytes, {limit:,} at most were expected")
    return found.st_size


@contextlib.contextmanager
def folder_below(root: Path, *names: str, make: bool = False) -> Iterator[int]:
    """The open directory root/name/name/..., no name of which is a link. `make`: those that are missing, each with the
    mode of the root whatever this process's umask: who may write to the root may write there too.

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
    """Open a directory in an open one; `mode`: with this mode, if it is missing or one's own."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if mode is not None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=folder)
    descriptor = os.open(name, flags, dir_fd=folder)
    found = os.fstat(descriptor)
    if mode is not None and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(descriptor, mode)  # the umask took some of it, perhaps in a process that was killed since
    return descriptor


def is_own(path: Path) -> bool:
    """Is a directory, with all that is in it, this user's own, or is there none yet? A link in it is not."""
    try:
        found = [os.lstat(path)]
        for folder, folders, names in os.walk(path):
            found += [os.lstat(Path(folder, name)) for name in (*folders, *names)]
    except FileNotFoundError:
        return not os.path.lexists(path)
    links = any(stat.S_ISLNK(one.st_mode) for one in found)
    return stat.S_ISDIR(found[0].st_mode) and not links and all(one.st_uid == os.geteuid() for one in found)
