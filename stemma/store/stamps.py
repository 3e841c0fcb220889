"""Does an artifact stand as the engine put it? Asked of every target each time, so it is told by stamps, not by bytes.

A pointer says of each file what was put there: its digest and its stamp (size, times, inode). Where the stamp is the
same the file was not written since. Where it is not, because the file was written, touched, copied, or another name of
it came or went, its bytes decide; what they were found to be is kept, so that they are read once.
Does not say what follows from damage, and mends nothing.
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


class Stamps:
    """Of one directory. `learned`: path -> [sha256, *stamp] of files whose bytes were read because of their stamp."""

    def __init__(self, cache: Path = LEARNED):
        self.cache = cache
        self.changed = False

    @cached_property
    def learned(self) -> Files:
        """What earlier runs learned; read when a first stamp differs."""
        return read_json(self.cache) or {}

    @cached_property
    def others(self) -> dict[tuple[int, ...], str]:
        """Digest by stamp of all files that any pointer speaks of: two names of one file have one stamp, the later."""
        found = {}
        for file in POINTERS.rglob("*.json"):
            files = (read_json(file) or {}).get("files")
            entries = files.values() if isinstance(files, dict) else ()
            found.update({tuple(stamp): sha256 for sha256, *stamp in entries})
        return found

    def fault(self, path: Path, files: Files) -> str | None:
        """What is wrong with the files that were put at a declared path, in a few words; None if nothing is."""
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
        """Digest of a file whose stamp is not the one that its pointer states; None where it cannot be read."""
        stamp = stamp_of(found)
        sha256, *known = self.learned.get(place, [None])
        if known != stamp:
            sha256 = self.others.get(tuple(stamp)) or digest.of_entry(None, place)
            self.learned[place] = [sha256, *stamp]
            self.changed = True
        return sha256

    def save(self) -> None:
        """Keep what was learned, where that is possible; without it the next run reads the same files again."""
        if self.changed:
            with where_writable():
                write_atomically(self.cache, json.dumps(self.learned).encode())
            self.changed = False
