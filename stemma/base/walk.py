"""What lies below a directory, links not followed, and the refusal by name of what is no regular file.

A link, a pipe, a socket or a device is no content: it is never opened, so nothing is waited for and no other file is
read, changed or listed in its place.
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
    """(relative name, entry) of everything but the directories below one, sorted by the parts of the name, so that no
    file system's order shows."""
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
    """Relative names of the regular files below a directory. Raises StemmaError that names the first other thing;
    `what` it is in, and the `remedy`, are the reader's to know."""
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
    """What something is, in a word."""
    return KINDS.get(stat.S_IFMT(found.st_mode), "a file")


def is_text(name: str) -> bool:
    """Has a name been read as UTF-8? Other bytes come from the file system as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(path: Path) -> str:
    """A path as it can be printed, a link with where it leads."""
    place = f" -> {path.readlink()}" if path.is_symlink() else ""
    return f"{path}{place}".encode(errors="backslashreplace").decode()
