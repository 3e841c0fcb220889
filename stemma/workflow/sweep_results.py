"""Clears results/, after a complete run, of what does not belong to the build; the store keeps it.

Only files that the engine put there go, unchanged, and only if the store can put them back: what a person changed or
added stays, and so does what the present config would build alike though nobody asked for it (another preset's page).
"""

from collections.abc import Callable
from pathlib import Path

from stemma.base.errors import StemmaError, warn
from stemma.provenance import standing_build
from stemma.provenance.standing_build import Build
from stemma.provenance.trust import Records
from stemma.store.artifact import MARK, POINTERS, Pointer, argument, pointer_path
from stemma.store.placement import keeps, remove

RESULTS = Path("results")


def let_leave(build: Build, records: Records, would_make: Callable[[Path, str], bool]) -> list[str]:
    """Clear results/ of what is not of the build; return the names of what went. `would_make`: whether the config would
    make a path under this expected key."""
    found = standing_build.divided()
    going = [
        (path, pointer)
        for path, pointer in found.others
        if str(path) not in build.wanted and not would_make(path, pointer.expected) and is_kept(records, path, pointer)
    ]
    gone = {path for path, _ in going}
    staying = [item for item in found.own + found.others if item[0] not in gone]
    spared = {path.parent / name for path, pointer in staying for name in pointer.files} if going else set()
    for path, _ in going:
        try:
            changed = remove(records.store, path, spared)
        except StemmaError as error:  # something of the user's stands in the way
            warn(str(error))
            continue
        if changed:
            warn(f"{changed[0]} was changed since it was built: it stays, though this config does not build it")
        pointer_path(path).unlink(missing_ok=True)
        remove_empty(path.parent)
    for mark in POINTERS.rglob(f"*{MARK}"):
        view = RESULTS / mark.relative_to(POINTERS).with_suffix("")
        if str(view) not in build.wanted and not view.exists():
            mark.unlink(missing_ok=True)
    standing_build.settle(build)
    return sorted(str(argument(path)) for path in gone)


def is_kept(records: Records, path: Path, pointer: Pointer) -> bool:
    """Does the store have all that would be needed to put it back: the record, and each file, undamaged?"""
    store = records.store
    if records.read(pointer.action) is None:
        return False
    return all(keeps(store, sha256, path.parent / name) for name, (sha256, *_) in pointer.files.items())


def remove_empty(directory: Path) -> None:
    """Remove a directory below results/, and its parents, as long as they are empty."""
    while directory != RESULTS and directory.is_relative_to(RESULTS):
        try:
            directory.rmdir()
        except OSError:  # it is not empty, or no directory
            return
        directory = directory.parent
