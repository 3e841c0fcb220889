"""Checks whether artifacts stand as the engine put them. Every run asks it of every target, so it compares stamps
first.

A pointer holds each file's digest and stamp (size, times, inode). An equal stamp means that the file was not written
since. Otherwise (it was written, touched, copied, or one of its hard links came or went) its bytes decide, and their
digest is cached so that they are read once. What follows from damage is decided by the caller.
"""

import json
import os
import stat
from functools import cached_property
from pathlib import Path

from stemma.base import digest
from stemma.base.digest import read_json, write_atomically
from stemma.base.files import stamp_of, where_writable
from stemma.store.artifact import POINTERS, Files

LEARNED = Path("results/.records/stamps.json")
STAMP = 4  # numbers of a stamp


def entries_in(files: object) -> Files:
    """Return the well-formed entries of a JSON object that others may have written: name -> [sha256, *stamp]."""
    if not isinstance(files, dict):
        return {}
    return {name: entry for name, entry in files.items() if isinstance(entry, list) and is_entry(*entry)}


def is_entry(sha256: object = None, *stamp: object) -> bool:
    return isinstance(sha256, str) and len(stamp) == STAMP and all(isinstance(number, int) for number in stamp)


class Stamps:
    """The stamps of one directory's artifacts. `learned`: path -> [sha256, *stamp] of files that had to be read."""

    def __init__(self, cache: Path = LEARNED):
        self.cache = cache
        self.changed = False

    @cached_property
    def learned(self) -> Files:
        """The cache of earlier runs; it is read when a first stamp differs."""
        return entries_in(read_json(self.cache))

    @cached_property
    def others(self) -> dict[tuple[int, ...], str]:
        """Digest by stamp of all files that any pointer names: two hard links of one file share a stamp, the later
        one."""
        found = {}
        for file in POINTERS.rglob("*.json"):
            entries = entries_in((read_json(file) or {}).get("files"))
            found.update({tuple(stamp): sha256 for sha256, *stamp in entries.values()})
        return found

    def fault(self, path: Path, files: Files) -> str | None:
        """Return what is wrong with the files that were put at a declared path, in a few words; None if nothing is."""
        folder = str(path.parent)
        for name, (sha256, *stamp) in files.items():
            place = f"{folder}/{name}"
            try:
                found = os.lstat(place)
            except (FileNotFoundError, NotADirectoryError):
                return f"{place} is missing"
            if stamp_of(found) == stamp and stat.S_ISREG(found.st_mode):
                continue
            if not stat.S_ISREG(found.st_mode) or self.digest(place, found) != sha256:
                return f"{place} was changed"
        return None

    def digest(self, place: str, found: os.stat_result) -> str | None:
        """Return the digest of a file whose stamp differs from its pointer's; None where it cannot be read."""
        stamp = stamp_of(found)
        sha256, *known = self.learned.get(place, [None])
        if known != stamp:
            sha256 = self.others.get(tuple(stamp)) or digest.of_entry(None, place)
            self.learned[place] = [sha256, *stamp]
            self.changed = True
        return sha256

    def save(self) -> None:
        """Write the cache where that is possible; otherwise the next run reads the same files again."""
        if self.changed:
            with where_writable():
                write_atomically(self.cache, json.dumps(self.learned).encode())
            self.changed = False
