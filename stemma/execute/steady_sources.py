"""Checks that the files which a job reads did not change from before they were hashed until it had read them.

A result of a file that was edited meanwhile would not match its key. Files are compared by size, mtime and inode. For a
source the ctime counts as well, which nobody can set: where only that differs (a link was made, a mode changed, or the
mtime of an edit was set back), the source is hashed again. For an artifact it does not count: the store links its files
at any time. Other files are not read.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.provenance.record import Input, Job
from stemma.store import artifact


@dataclass(frozen=True)
class Stamp:
    """A file's stat: size in bytes, mtime and ctime in nanoseconds, device and inode."""

    size: int
    modified: int
    inode: tuple[int, int]
    changed: int

    @staticmethod
    def of(path: Path) -> "Stamp":
        """Return the stamp of a file as it is now. Links are followed."""
        stat = path.stat()
        return Stamp(stat.st_size, stat.st_mtime_ns, (stat.st_dev, stat.st_ino), stat.st_ctime_ns)

    def is_same(self, other: "Stamp | None") -> bool:
        """Are they equal except for the ctime?"""
        mine = self.size, self.modified, self.inode
        return other is not None and mine == (other.size, other.modified, other.inode)


class Steady:
    """The stamps of all that a job is going to read; to be made before anything is hashed."""

    def __init__(self, job: Job):
        self.rule = job.rule
        self.inputs = stamps(artifact.argument(Path(path)) for paths in job.inputs.values() for path in paths)
        self.sources = stamps(Path(path) for paths in job.sources.values() for path in paths)

    def check(self, inputs: list[Input]) -> None:
        """Raise StemmaError if a file has changed. `inputs`: what was hashed in between."""
        for item in inputs:
            path = Path(item.path)
            if item.record is None:
                self.check_source(path, item.sha256)
            else:
                self.compare(self.inputs, stamps(members(path)), members(path))

    def check_source(self, path: Path, sha256: str) -> None:
        """Raise StemmaError if a file or tree from outside the workflow has changed."""
        before = {file: stamp for file, stamp in self.sources.items() if file.is_relative_to(path)}
        now = stamps([path])
        self.compare(before, now, before.keys() | now.keys())
        if before != now and digest.of_tree(path) != sha256:
            raise StemmaError(self.verdict(path))

    def compare(self, before: dict[Path, Stamp], now: dict[Path, Stamp], files: Iterable[Path]) -> None:
        """Raise StemmaError for the first of some files that was added, removed or changed."""
        for file in files:
            if file not in before or not before[file].is_same(now.get(file)):
                raise StemmaError(self.verdict(file))

    def verdict(self, path: Path) -> str:
        """Return the error line."""
        return f"{path} was changed while {self.rule} read it, so the result is dropped; run again"


def members(path: Path) -> list[Path]:
    """Return the files that an artifact consists of."""
    return [path, *(path.parent / name for name in artifact.listed(path))] if artifact.is_directory(path) else [path]


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Return the stamps of files, and of every file in directories; missing files are left out."""
    found = {}
    for path in paths:
        for file in digest.files_below(path) if path.is_dir() else [path]:
            with contextlib.suppress(FileNotFoundError):
                found[file] = Stamp.of(file)
    return found
