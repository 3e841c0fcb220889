"""Lists what lies below a directory without following links, and refuses by name whatever is not a regular file.

A link, pipe, socket or device is never opened: nothing is waited for, and no file elsewhere is read or changed.
"""

import os
import stat
from pathlib import Path

from stemma.base.errors import StemmaError

KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def names_below(directory: Path) -> list[tuple[str, os.DirEntry]]:
    """Return (relative name, entry) of everything below a directory except directories, sorted by the parts of the
    name, so that the file system's order does not matter."""
    found: list[tuple[str, os.DirEntry]] = []
    waiting = [("", str(directory))]
    while waiting:
        lead, folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((f"{lead}{entry.name}/", entry.path))
                else:
                    found.append((lead + entry.name, entry))
    return sorted(found, key=lambda item: item[0].split("/"))


def regular_below(directory: Path, what: str, remedy: str) -> list[str]:
    """Return the relative names of the regular files below a directory.

    Raises StemmaError for the first thing that is none, or whose name is not UTF-8; the message begins with `what`
    (whose directory it is) and ends with `remedy`."""
    names = []
    for name, entry in names_below(directory):
        if not entry.is_file(follow_symlinks=False):
            raise StemmaError(
                f"{what}: {shown(directory / name)} is {kind_of(entry.stat(follow_symlinks=False))}; {remedy}"
            )
        if not is_text(name):
            raise StemmaError(f"{what}: the name of {shown(directory / name)} is not UTF-8; rename it")
        names.append(name)
    return names


def kind_of(found: os.stat_result) -> str:
    """Return what kind of file a stat is of, in words: "a link", "a directory", "a file", ..."""
    return KINDS.get(stat.S_IFMT(found.st_mode), "a file")


def is_text(name: str) -> bool:
    """Was a name valid UTF-8? Other bytes come from the file system as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(path: Path) -> str:
    """Return a path in printable form; a link with its target."""
    place = f" -> {path.readlink()}" if path.is_symlink() else ""
    return f"{path}{place}".encode(errors="backslashreplace").decode()
