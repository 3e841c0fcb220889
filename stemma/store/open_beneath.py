"""Directories below results/, opened one from the other so that no link is followed, and what is set aside there.

results/ itself may be a link or a mount: where it lies is the user's choice. Below it a link would lead the engine to
files that are not its own, and another could be put there between a look and its use; so a directory is never named by
its whole path but by its name in the open one that holds it.
"""

import contextlib
import errno
import itertools
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from stemma.base.errors import StemmaError, warn
from stemma.base.walk import kind_of

RESULTS = "results"
ASIDE = Path(RESULTS, ".aside")
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
IMMOVABLE = (errno.EXDEV, errno.EBUSY)  # it lies on another file system, or is where one is mounted
NAMED = 3  # of the things that were set aside, in one warning


@contextlib.contextmanager
def opened(directory: Path, make: bool = False) -> Iterator[int]:
    """An open directory of results/. `make`: it and those above it, where they are missing.

    Raises FileNotFoundError where one is missing, StemmaError where something else stands in the way."""
    first, *names = directory.parts
    if first != RESULTS or ".." in names:
        raise StemmaError(f"{directory} lies outside results/, and the engine writes nowhere else; correct the rule")
    if make:
        Path(RESULTS).mkdir(exist_ok=True)
    folder = os.open(RESULTS, DIRECTORY)
    try:
        for number, name in enumerate(names):
            inner = enter(folder, name, Path(RESULTS, *names[: number + 1]), make)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def check_way(directory: Path) -> None:
    """Raise StemmaError if something else stands where a directory of results/ is, or on the way to it."""
    with contextlib.suppress(FileNotFoundError), opened(directory):
        pass


def enter(folder: int, name: str, path: Path, make: bool) -> int:
    """Open a directory in an open one; `path` is what the reader calls it."""
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    try:
        return os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        found = look(folder, name)
        if found is None or stat.S_ISDIR(found.st_mode):
            raise
        remedy = "move it away and run again (results itself may be a link)"
        raise StemmaError(f"{path} is {kind_of(found)}, and the engine goes through none to write; {remedy}") from error


def look(folder: int, name: str) -> os.stat_result | None:
    """What stands under a name in an open directory, a link not followed; None for nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


class Aside:
    """Where one action puts what is in its way and not its own: results/.aside/<time>-<process>-<number>/, under the
    same path, as it is. Made when it is first needed; a rename is all that happens to what goes there."""

    def __init__(self):
        self.place: Path | None = None
        self.taken: list[str] = []

    def take(self, folder: int, name: str, path: Path) -> None:
        """Move what stands under a name in an open directory there. Raises StemmaError where that cannot be done."""
        with opened((self.place or self.begin()) / path.parent.relative_to(RESULTS), make=True) as target:
            try:
                os.rename(name, name, src_dir_fd=folder, dst_dir_fd=target)
            except OSError as error:
                if error.errno not in IMMOVABLE:
                    raise
                raise StemmaError(
                    f"{path} was not put there by the engine, and cannot be set aside because something is mounted "
                    "there; move it away and run again"
                ) from None
        self.taken.append(str(path))

    def begin(self) -> Path:
        """A directory that nobody else has."""
        with opened(ASIDE, make=True) as folder:
            lead = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
            for number in itertools.count(1):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(f"{lead}-{number}", dir_fd=folder)
                    break
        self.place = ASIDE / f"{lead}-{number}"
        return self.place

    def say(self) -> None:
        """Name what was moved, in one line."""
        if self.taken:
            names = ", ".join(self.taken[:NAMED])
            more = len(self.taken) - NAMED
            names += f" and {more} more" if more > 0 else ""
            verb = "was" if len(self.taken) == 1 else "were"
            warn(f"{names} {verb} not put there by the engine, or changed since: moved to {self.place}/")
