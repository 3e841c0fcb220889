"""Landlock: the kernel restricts where a process and all that it starts may read and write (Linux 5.19, ABI 2).

It binds native code and other programs as well as Python, root as well as others, and needs no privileges. It does not
hide a file's existence, size or times, and does not restrict the network. See landlock(7).
"""

import ctypes
import errno
import os
import platform
from collections.abc import Iterable
from functools import cache
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
GET_VERSION, PATH_BENEATH = 1, 1
PR_SET_NO_NEW_PRIVS = 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE = 1 << 13, 1 << 14
CHANGES = sum(1 << bit for bit in range(4, 13))  # in a directory: make and remove files of each kind
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = WRITE_FILE | CHANGES | REFER | TRUNCATE
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
OLDEST = 2  # ABI 1 forbids renames between directories


class PathBeneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


@cache
def version() -> int:
    """Return the ABI version of the kernel's Landlock; 0 where there is none, or one older than OLDEST."""
    if platform.system() != "Linux":
        return 0
    found = ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), GET_VERSION)
    return found if found >= OLDEST else 0


class Ruleset:
    """What may be done where; everything else is refused. `reads`: whether reads are restricted too, or only writes."""

    def __init__(self, reads: bool):
        self.handled = (WRITE | (READ if reads else 0)) & (~0 if version() > OLDEST else ~TRUNCATE)
        attributes = ctypes.c_uint64(self.handled)
        self.number = call(CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)

    def allow(self, rights: int, paths: Iterable[Path]) -> None:
        """Grant rights on files, and on directories with all that is or will be in them; missing paths are skipped."""
        for path in paths:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                    continue
                raise
            try:
                rights_here = rights & self.handled & (~0 if path.is_dir() else OF_FILES)
                if rights_here:
                    rule = PathBeneath(rights_here, place)
                    call(ADD_RULE, self.number, PATH_BENEATH, ctypes.byref(rule), 0)
            finally:
                os.close(place)

    def enforce(self) -> None:
        """Restrict this thread and all that it starts, irrevocably."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call(RESTRICT_SELF, self.number, 0)

    def close(self) -> None:
        """Close the kernel's object."""
        os.close(self.number)


def call(number: int, *arguments: object) -> int:
    """Make a system call. Raises OSError where it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(number, *(ctypes.c_size_t(a) if isinstance(a, int) else a for a in arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return found
