"""Putting artifacts at their declared paths, and taking away what the engine put there before: that and nothing else.

What the engine put where say its pointers, by name and bytes. Anything else that stands in the way, a file, a link, a
directory, is the user's: it is moved to results/.aside/ as it is, never read through, changed or deleted.
"""

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TextIO

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.files import created, is_abandoned, is_plain, is_temporary, stamp_of, temporary_name
from stemma.store import artifact
from stemma.store.artifact import Files, Mark, is_directory
from stemma.store.local import Store
from stemma.store.open_beneath import RESULTS, Aside, enter, look, opened

SILLY = ".nfs"  # what a client of NFS still has open when it is removed; the server takes it away


def restore(store: Store, path: Path, sha256: str) -> Files:
    """Put an artifact at its declared path, a directory's manifest last, and say what was put there.

    What the engine put there before and does not belong to it any more goes. Raises StemmaError for what is in the way
    and cannot be set aside."""
    if path.parent == Path(RESULTS) and is_directory(path):
        raise StemmaError(f"{path}: results/ as a whole can be no artifact; give the rule a directory in it")
    wanted = artifact.listed(store.object_path(sha256)) if is_directory(path) else {}
    site = Site(store, path.parent, wanted | {path.name: sha256}, artifact.put_before(path))
    with opened(path.parent, make=True) as folder:
        if is_directory(path):
            site.clear(folder)
        else:
            site.clear_one(folder, path.name)
        for name in site.wanted:
            site.put(folder, name)
        site.aside.say()
        os.utime(path.name, dir_fd=folder, follow_symlinks=False)  # rules that go by time have to see it as new
        return {name: [member, *site.stamp(folder, name)] for name, member in site.wanted.items()}


def take_away(store: Store, path: Path) -> None:
    """Remove what the engine put at a declared path, of a directory the manifest alone; set aside what it did not."""
    with contextlib.suppress(FileNotFoundError), opened(path.parent) as folder:
        site = Site(store, path.parent, {}, artifact.put_before(path))
        site.clear_one(folder, path.name)
        site.aside.say()


def write_view(store: Store, path: Path, data: bytes) -> None:
    """Write a file that the engine derives from others, with a mark by which it is known again. What stands there and
    is not the engine's is set aside; outside results/, where the path is the caller's choice, it is replaced."""
    if path.parts[0] != RESULTS:
        digest.write_atomically(path, data)
        return
    with opened(path.parent, make=True) as folder:
        site = Site(store, path.parent, {}, artifact.put_before(path))
        site.clear_one(folder, path.name)
        site.aside.say()
        temporary = temporary_name(path.name)
        with created(temporary, folder) as file:
            file.write(data)
        os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        files = {path.name: [digest.of_bytes(data), *site.stamp(folder, path.name)]}
    artifact.write_mark(path, Mark("", files))


def remove(store: Store, path: Path, spared: Collection[Path] = ()) -> list[str]:
    """Remove what the engine put at a declared path, but for files that are `spared`. Returns the names of what stays:
    what is not as it was put there, and what the store has lost, for it could not come back."""
    pointer, mark = artifact.read_pointer(path), artifact.read_mark(path)
    put = {name: [entry] for said in (pointer, mark) if said for name, entry in said.files.items()}
    put = {name: entries for name, entries in put.items() if path.parent / name not in spared}
    site, left = Site(store, path.parent, {}, put), []
    with contextlib.suppress(FileNotFoundError), opened(path.parent) as folder:
        for name in sorted(put):
            with contextlib.suppress(FileNotFoundError), site.holder(folder, name) as (inner, entry):
                found = look(inner, entry)
                if (
                    found
                    and site.is_own(inner, entry, name, found)
                    and (mark or is_plain(store.object_path(put[name][0][0])))
                ):
                    os.unlink(entry, dir_fd=inner)
                elif found:
                    left.append(str(path.parent / name))
        for name in sorted(parents_of(put), reverse=True):
            with contextlib.suppress(OSError):  # something that is not the engine's is in it
                os.rmdir(name, dir_fd=folder)
    return left


def fresh(path: Path) -> TextIO:
    """A file of results/ that is written anew each time, a log for example, to write to."""
    with opened(path.parent, make=True) as folder:
        make_room(folder, path)
        return created(path.name, folder, "w")


def make_room(folder: int, path: Path) -> None:
    """Let nothing stand where such a file is to be. One of this name goes (another name that it has keeps its bytes),
    anything else is set aside."""
    found = look(folder, path.name)
    if found is None:
        return
    if stat.S_ISREG(found.st_mode):
        os.unlink(path.name, dir_fd=folder)
        return
    aside = Aside()
    aside.take(folder, path.name, path)
    aside.say()


def parents_of(names: dict[str, object]) -> set[str]:
    """The directories in which relative names lie, and those in which these lie."""
    return {str(parent) for name in names for parent in Path(name).parents if parent.name}


@dataclass(frozen=True)
class Site:
    """A directory of results/. `wanted`: what is to stand in it, name -> sha256. `before`: what the engine put there,
    name -> [sha256, *stamp] of each."""

    store: Store
    path: Path
    wanted: dict[str, str]
    before: dict[str, list[list]]
    aside: Aside = field(default_factory=Aside)

    @cached_property
    def kept(self) -> set[str]:
        """The directories in it that are wanted."""
        return parents_of(self.wanted)

    @cached_property
    def known(self) -> set[str]:
        """Those in which the engine put something, or is about to."""
        return self.kept | parents_of(self.before)

    def clear(self, folder: int, lead: str = "") -> None:
        """Clear an open directory and those in it; `lead` is the way to it from the site."""
        for entry in os.listdir(folder):
            name, found = lead + entry, look(folder, entry)
            if name not in self.known or found is None or not stat.S_ISDIR(found.st_mode):
                self.clear_name(folder, entry, lead)
                continue
            inner = enter(folder, entry, self.path / name, make=False)
            try:
                self.clear(inner, f"{name}/")
            finally:
                os.close(inner)
            if name not in self.kept:
                with contextlib.suppress(OSError):  # somebody's temporary file is in it
                    os.rmdir(entry, dir_fd=folder)

    def clear_one(self, folder: int, name: str) -> None:
        """Clear one name, and what a job left that was killed while it put something there."""
        for entry in os.listdir(folder):
            if entry == name or (entry.startswith(f".{name}~") and is_temporary(entry)):
                self.clear_name(folder, entry)

    def clear_name(self, folder: int, entry: str, lead: str = "") -> None:
        """Take away what stands under a name if the engine put it there, set it aside if not. A file stays where one is
        wanted, until it is replaced."""
        name, found = lead + entry, look(folder, entry)
        if found is None or entry.startswith(SILLY):
            return
        if stat.S_ISREG(found.st_mode) and is_temporary(entry):
            if is_abandoned(entry):
                os.unlink(entry, dir_fd=folder)
            return
        if stat.S_ISDIR(found.st_mode):
            with contextlib.suppress(OSError):  # an empty one holds nothing of anybody's
                os.rmdir(entry, dir_fd=folder)
                return
        if name in self.wanted and stat.S_ISREG(found.st_mode):
            return
        if self.is_own(folder, entry, name, found):
            os.unlink(entry, dir_fd=folder)
        else:
            self.aside.take(folder, entry, self.path / name)

    def is_own(self, folder: int, entry: str, name: str, found: os.stat_result) -> bool:
        """Did the engine put this here? Its bytes tell where the stamp does not; of a name that is the engine's also
        whether the store has them, for a pointer may be lost, and a job may have been killed before it wrote one."""
        if not stat.S_ISREG(found.st_mode) or not (name in self.wanted or name in self.before):
            return False
        put = [*self.before.get(name, ()), [self.wanted.get(name)]]
        if stamp_of(found) in (stamp for _, *stamp in put) or self.is_placed(name, found):
            return True
        sha256 = digest.of_entry(folder, entry)
        if sha256 is None or not (sha256 in (known for known, *_ in put) or self.store.holds(sha256)):
            return False
        now = look(folder, entry)
        return now is not None and stamp_of(now) == stamp_of(found)

    def is_placed(self, name: str, found: os.stat_result) -> bool:
        """Is this the very object that is wanted, or as it was put here with the same bytes before?"""
        sha256 = self.wanted.get(name)
        if sha256 is None:
            return False
        if [sha256, *stamp_of(found)] in self.before.get(name, ()):
            return True
        there = os.lstat(self.store.object_path(sha256))
        return (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)

    def put(self, folder: int, name: str) -> None:
        """Put what is wanted under a name, in one step. What came there meanwhile is not the engine's either."""
        with self.holder(folder, name, make=True) as (inner, entry):
            found = look(inner, entry)
            if found and stat.S_ISREG(found.st_mode) and self.is_placed(name, found):
                return
            temporary = temporary_name(entry)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=inner)
            try:
                self.store.put(self.wanted[name], temporary, inner)
                found = look(inner, entry)
                if found and not self.is_own(inner, entry, name, found):
                    self.aside.take(inner, entry, self.path / name)
                os.replace(temporary, entry, src_dir_fd=inner, dst_dir_fd=inner)
            except OSError:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=inner)
                raise

    def stamp(self, folder: int, name: str) -> list[int]:
        """The stamp of what stands under a name."""
        with self.holder(folder, name) as (inner, entry):
            return stamp_of(os.stat(entry, dir_fd=inner, follow_symlinks=False))

    @contextlib.contextmanager
    def holder(self, folder: int, name: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open directory in which a name of the site lies, and its name in there."""
        *ways, entry = name.split("/")
        inner = os.dup(folder)
        try:
            for number, way in enumerate(ways):
                further = enter(inner, way, self.path.joinpath(*ways[: number + 1]), make)
                os.close(inner)
                inner = further
            yield inner, entry
        finally:
            os.close(inner)
