"""Opens directories below results/ without following links, and sets foreign files aside.

results/ itself may be a link or a mount: where it lies is the user's choice. Below it a link would lead the engine to
files that are not its own, and could appear between a check and its use; so each directory is opened by its name in its
open parent, never by its whole path.
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
from stemma.base.files import created, stamp_of, temporary_name
from stemma.base.walk import kind_of

RESULTS = "results"
ASIDE = Path(RESULTS, ".aside")
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
IMMOVABLE = (errno.EXDEV, errno.EBUSY)  # it lies on another file system, or something is mounted there
NAMED = 3  # so many names of things set aside stand in a warning


@contextlib.contextmanager
def opened(directory: Path, make: bool = False) -> Iterator[int]:
    """Yield an open directory of results/. `make`: create it and its parents where they are missing.

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
    """Raise StemmaError if something other than a directory stands at this path of results/ or above it."""
    with contextlib.suppress(FileNotFoundError), opened(directory):
        pass


def enter(folder: int, name: str, path: Path, make: bool) -> int:
    """Open a directory in an open one; `path` is its path for messages. Raises StemmaError for anything else there."""
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
    """Return the stat of a name in an open directory, a link not followed; None where nothing is there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def write_beneath(path: Path, data: bytes) -> list[int]:
    """Write a file of results/ by atomic rename, through no link on the way; return its stamp. Raises as `opened`."""
    with opened(path.parent, make=True) as folder:
        temporary = temporary_name(path.name)
        with created(temporary, folder) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        return stamp_of(os.stat(path.name, dir_fd=folder, follow_symlinks=False))


class Aside:
    """Sets aside what is in the engine's way and not its own: moves it to results/.aside/<time>-<process>-<number>/,
    under the same path. That directory is made when it is first needed; files are only renamed, never changed."""

    def __init__(self):
        self.place: Path | None = None
        self.taken: list[str] = []

    def take(self, folder: int, name: str, path: Path) -> None:
        """Move `name` of an open directory aside; `path` is its path. Raises StemmaError where that is impossible."""
        inside = path.relative_to(RESULTS)
        taken = self.place and os.path.lexists(self.place / inside)  # what came to the same path a moment later
        with opened((self.begin() if taken else self.place or self.begin()) / inside.parent, make=True) as target:
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
        """Make a new directory below results/.aside/ and return its path."""
        with opened(ASIDE, make=True) as folder:
            lead = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
            for number in itertools.count(1):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(f"{lead}-{number}", dir_fd=folder)
                    break
        self.place = ASIDE / f"{lead}-{number}"
        return self.place

    def say(self) -> None:
        """Print one warning that names what was moved."""
        if self.taken:
            names = ", ".join(self.taken[:NAMED])
            more = len(self.taken) - NAMED
            names += f" and {more} more" if more > 0 else ""
            verb = "was" if len(self.taken) == 1 else "were"
            warn(f"{names} {verb} not put there by the engine, or changed since: moved to {self.place}/")
