"""Puts artifacts at their declared paths, and removes what the engine put there before.

Pointers say, by name and bytes, what the engine put where. Anything else in the way (a file, link or directory) is the
user's: it is moved to results/.aside/ as it is, never read through, changed or deleted.
"""

import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.files import created, is_abandoned, is_temporary, stamp_of, temporary_name
from stemma.store import artifact
from stemma.store.artifact import Files, Mark, is_directory
from stemma.store.local import Store
from stemma.store.open_beneath import RESULTS, Aside, enter, look, opened, write_beneath

SILLY = ".nfs"  # an NFS client's name for a file that is removed while it is open; the server deletes it


def restore(store: Store, path: Path, sha256: str) -> Files:
    """Put an artifact at its declared path, a directory's manifest last, and return the entries of its files.

    Files that the engine put there earlier and that do not belong to this artifact are removed. Raises StemmaError for
    a foreign file that cannot be set aside."""
    if path.parent == Path(RESULTS) and is_directory(path):
        raise StemmaError(f"{path}: results/ as a whole can be no artifact; give the rule a directory in it")
    wanted = artifact.listed(store.object_path(sha256)) if is_directory(path) else {}
    site = Site(store, path.parent, wanted | {path.name: sha256}, *artifact.put_before(path))
    with opened(path.parent, make=True) as folder:
        if is_directory(path):
            site.clear(folder)
        else:
            site.clear_one(folder, path.name)
        for name in site.wanted:
            site.put(folder, name)
        site.aside.say()
        os.utime(path.name, dir_fd=folder, follow_symlinks=False)  # rules that go by time must see it as new
        return {name: [member, *site.stamp(folder, name)] for name, member in site.wanted.items()}


def take_away(store: Store, path: Path) -> None:
    """Remove what the engine put at a declared path (for a directory, the manifest only); set aside anything else."""
    with contextlib.suppress(FileNotFoundError), opened(path.parent) as folder:
        site = Site(store, path.parent, {}, *artifact.put_before(path))
        site.clear_one(folder, path.name)
        site.aside.say()


def write_view(store: Store, path: Path, data: bytes) -> None:
    """Write a view, a file that the engine derives from others, with a mark to recognise it by. A foreign file there is
    set aside; outside results/, where the user chose the path, it is replaced."""
    if path.parts[0] != RESULTS:
        digest.write_atomically(path, data)
        return
    with opened(path.parent, make=True) as folder:
        site = Site(store, path.parent, {}, *artifact.put_before(path))
        site.clear_one(folder, path.name)
        site.aside.say()
    files = {path.name: [digest.of_bytes(data), *write_beneath(path, data)]}
    artifact.write_mark(path, Mark("", files))


def remove(store: Store, path: Path, spared: Collection[Path] = ()) -> list[str]:
    """Remove the files that the engine put at a declared path, except those in `spared`. Returns the names of those
    that stay: files that were changed, and files that the store has lost and could not restore."""
    pointer, mark = artifact.read_pointer(path), artifact.read_mark(path)
    put = {name: [entry] for said in (pointer, mark) if said for name, entry in said.files.items()}
    put = {name: entries for name, entries in put.items() if path.parent / name not in spared}
    site, left = Site(store, path.parent, {}, put, set()), []
    with contextlib.suppress(FileNotFoundError), opened(path.parent) as folder:
        for name in sorted(put):
            with contextlib.suppress(FileNotFoundError), site.holder(folder, name) as (inner, entry):
                found = look(inner, entry)
                if (
                    found
                    and site.is_own(inner, entry, name, found)
                    and (mark or keeps(store, put[name][0][0], path.parent / name))
                ):
                    os.unlink(entry, dir_fd=inner)
                elif found:
                    left.append(str(path.parent / name))
        for name in sorted(parents_of(put), reverse=True):
            with contextlib.suppress(OSError):  # it holds something foreign
                os.rmdir(name, dir_fd=folder)
    return left


def keeps(store: Store, sha256: str, file: Path) -> bool:
    """Does the store have the bytes of a file that was put in results/? A hard link of its object is not read."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(store.object_path(sha256).lstat(), file.lstat()):
            return True
    return store.is_sound(sha256)


def fresh(path: Path) -> IO[str]:
    """Create a file of results/ that is rewritten each time, a log for example, and return it open for writing."""
    with opened(path.parent, make=True) as folder:
        make_room(folder, path)
        return created(path.name, folder, "w")


def make_room(folder: int, path: Path) -> None:
    """Clear the place of a file that is rewritten each time. A regular file is unlinked (its other hard links keep the
    bytes); anything else is set aside."""
    found = look(folder, path.name)
    if found is None:
        return
    if stat.S_ISREG(found.st_mode):
        os.unlink(path.name, dir_fd=folder)
        return
    aside = Aside()
    aside.take(folder, path.name, path)
    aside.say()


def parents_of(names: Iterable[str]) -> set[str]:
    """Return all directories above the relative names."""
    return {str(parent) for name in names for parent in Path(name).parents if parent.name}


@dataclass(frozen=True)
class Site:
    """A directory of results/ in which artifacts are put. `wanted`: the files that are to stand in it, name -> sha256.
    `before`: the files that the engine has put there, name -> [sha256, *stamp] of each time; `others`: those of them
    that are artifacts of their own, which stay."""

    store: Store
    path: Path
    wanted: dict[str, str]
    before: dict[str, list[list]]
    others: set[str]
    aside: Aside = field(default_factory=Aside)

    @cached_property
    def kept(self) -> set[str]:
        """The directories in the site that hold wanted files."""
        return parents_of(self.wanted)

    @cached_property
    def known(self) -> set[str]:
        """The directories in which the engine has put files or is about to."""
        return self.kept | parents_of(self.before)

    def clear(self, folder: int, lead: str = "") -> None:
        """Clear an open directory and those below it; `lead` is its path relative to the site."""
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
                with contextlib.suppress(OSError):  # it holds somebody's temporary file
                    os.rmdir(entry, dir_fd=folder)

    def clear_one(self, folder: int, name: str) -> None:
        """Clear one name, and the temporary files that a job left which was killed while it wrote there."""
        for entry in os.listdir(folder):
            if entry == name or (entry.startswith(f".{name}~") and is_temporary(entry)):
                self.clear_name(folder, entry)

    def clear_name(self, folder: int, entry: str, lead: str = "") -> None:
        """Remove what stands under a name if the engine put it there; set it aside if not. A file stays if one is
        wanted there, until `put` replaces it."""
        name, found = lead + entry, look(folder, entry)
        if found is None or entry.startswith(SILLY) or (name in self.others and name not in self.kept):
            return
        if stat.S_ISREG(found.st_mode) and is_temporary(entry):
            if is_abandoned(entry):
                os.unlink(entry, dir_fd=folder)
            return
        if stat.S_ISDIR(found.st_mode):
            with contextlib.suppress(OSError):  # an empty directory holds nothing of anybody's
                os.rmdir(entry, dir_fd=folder)
                return
        if name in self.wanted and stat.S_ISREG(found.st_mode):
            return
        if self.is_own(folder, entry, name, found):
            os.unlink(entry, dir_fd=folder)
        else:
            self.aside.take(folder, entry, self.path / name)

    def is_own(self, folder: int, entry: str, name: str, found: os.stat_result) -> bool:
        """Did the engine put this file here? If its stamp is not a known one, its bytes decide; under a name of the
        engine's it is enough that the store holds them, for a job may have been killed before it wrote the pointer."""
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
        """Is this the wanted object itself, or a file with its digest and an unchanged stamp?"""
        sha256 = self.wanted.get(name)
        if sha256 is None:
            return False
        if [sha256, *stamp_of(found)] in self.before.get(name, ()):
            return True
        there = os.lstat(self.store.object_path(sha256))
        return (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)

    def put(self, folder: int, name: str) -> None:
        """Put the wanted file under a name by atomic rename. A foreign file that came there meanwhile is set aside."""
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
        """Return the stamp of the file that stands under a name."""
        with self.holder(folder, name) as (inner, entry):
            return stamp_of(os.stat(entry, dir_fd=inner, follow_symlinks=False))

    @contextlib.contextmanager
    def holder(self, folder: int, name: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the open directory in which a name of the site lies, and its name in there."""
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
