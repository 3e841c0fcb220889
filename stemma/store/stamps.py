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
from typing import Any

from stemma.base import digest
from stemma.base.digest import read_json, write_atomically
from stemma.base.errors import reason
from stemma.base.files import stamp_of, where_writable
from stemma.base.typed_json import made
from stemma.store.artifact import POINTERS, Files, Pointer

LEARNED = Path("results/.records/stamps.json")
LEARNT: Any = tuple[str | None, int, int, int, int]  # sha256 and stamp, as typed_json.made reads them


class Stamps:
    """The stamps of one directory's artifacts. `learned`: path -> LEARNT of files that had to be read; others may have
    written it."""

    def __init__(self, cache: Path = LEARNED):
        self.cache = cache
        self.changed = False

    @cached_property
    def learned(self) -> dict[str, object]:
        """The cache of earlier runs; it is read when a first stamp differs."""
        return read_json(self.cache) or {}

    @cached_property
    def others(self) -> dict[tuple[int, ...], str]:
        """Digest by stamp of all files that any pointer names: two hard links of one file share a stamp, the later
        one."""
        found = {}
        for file in POINTERS.rglob("*.json"):
            pointer = Pointer.of_json(read_json(file) or {})
            found.update({tuple(stamp): sha256 for sha256, *stamp in (pointer.files.values() if pointer else ())})
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
            except OSError as error:
                return f"{place} cannot be looked at ({reason(error)})"
            if stamp_of(found) == stamp and stat.S_ISREG(found.st_mode):
                continue
            if not stat.S_ISREG(found.st_mode) or self.digest(place, found) != sha256:
                return f"{place} was changed"
        return None

    def digest(self, place: str, found: os.stat_result) -> str | None:
        """Return the digest of a file whose stamp differs from its pointer's; None where it cannot be read."""
        stamp = stamp_of(found)
        sha256, *known = made(LEARNT, self.learned.get(place)) or (None,)
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
