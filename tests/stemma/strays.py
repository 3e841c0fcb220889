"""Things that a user may leave where the engine works, damage to what it made; and a look at all that is there."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

TEXT = b"nobody else has this"


def file(path: Path, outside: Path) -> None:
    path.write_bytes(TEXT)


def folder(path: Path, outside: Path) -> None:
    (path / "deep/er").mkdir(parents=True)
    (path / "deep/er/note").write_bytes(TEXT)


def link_to_folder(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "precious")


def link_to_file(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "precious/thesis.txt")


def link_upwards(path: Path, outside: Path) -> None:
    path.symlink_to("../..")


def link_to_nothing(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "not-there")


def link_to_itself(path: Path, outside: Path) -> None:
    path.symlink_to(path.name)


def hard_link(path: Path, outside: Path) -> None:
    path.hardlink_to(outside / "precious/linked.txt")


def pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def endless(path: Path, outside: Path) -> None:
    """A device: what /dev/zero is."""
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def plug(path: Path, outside: Path) -> None:
    """A socket; its path may be too long for the call."""
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


LINKS = (link_to_folder, link_to_file, link_upwards, link_to_nothing, link_to_itself)
SPECIAL = (pipe, plug, endless) if os.geteuid() == 0 else (pipe, plug)
STRAYS: tuple[Callable[[Path, Path], None], ...] = (file, folder, hard_link, *LINKS, *SPECIAL)


def damage_delete(path: Path) -> None:
    path.unlink()


def damage_truncate(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, 0)


def damage_replace(path: Path) -> None:
    """By another of the same size and times, as a careful forger does."""
    before, data = path.stat(), path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1] + b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def damage_in_place(path: Path) -> None:
    """The same, but through the hard link, so that the store's object is damaged too."""
    before, data = path.stat(), path.read_bytes()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data[:-1] + b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def damage_by_link(path: Path) -> None:
    """A link to the same bytes, which somebody can change later."""
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


DAMAGES = (damage_delete, damage_truncate, damage_replace, damage_in_place, damage_by_link)


def plant_outside(outside: Path) -> Path:
    """What links lead to: a directory of a user's, with files of several modes."""
    (outside / "precious/sub").mkdir(parents=True)
    for name, mode in (("thesis.txt", 0o644), ("run.sh", 0o755), ("sub/key.pem", 0o600), ("linked.txt", 0o664)):
        (outside / "precious" / name).write_bytes(name.encode())
        (outside / "precious" / name).chmod(mode)
    return outside


def snapshot(directory: Path, *without: str) -> dict[str, tuple]:
    """Everything below a directory but what lies below the paths `without`: kind and mode, owner, size, times, and
    bytes or where it leads. A change of any of it shows, were it undone: the time of the last change is among it."""
    found = {}
    for place, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if str(Path(place, name).relative_to(directory)) not in without]
        for name in (*folders, *names):
            path = Path(place, name)
            if str(path.relative_to(directory)) not in without:
                found[str(path.relative_to(directory))] = state(path)
    return found


def state(path: Path) -> tuple:
    """One thing's. The time of a directory's last change is left out, and of a file with several names, each rename of
    any of which counts."""
    at = path.lstat()
    content: object = None
    if stat.S_ISLNK(at.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(at.st_mode):
        content = path.read_bytes()
    times = (at.st_mtime_ns, at.st_ctime_ns if at.st_nlink == 1 else None)
    return at.st_mode, at.st_uid, at.st_ino, at.st_size, times, content
