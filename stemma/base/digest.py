"""SHA-256 of files, directory trees and plain values, and the canonical JSON that values are hashed by.

The store and the records are built on it; it imports neither.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from stemma.base.errors import StemmaError, reason
from stemma.base.files import beside, created, stamp_of
from stemma.base.typed_json import made
from stemma.base.untrusted_files import Unusable, check_plain, open_plain, read_plain
from stemma.base.walk import is_text, kind_of, names_below, regular_below, shown

CACHED: Any = tuple[int, int, int, int, str]  # a stamp and the sha256 of what had it, as typed_json.made reads them
GRAIN = 2_000_000_000  # nanoseconds: no file system has coarser time stamps

EXACT = 2**53  # every integer up to this one is exactly a float
SOURCES = Path("results/.records/sources.json")  # the digests of sources are remembered here
JSON_BYTES = 64 << 20  # the largest JSON text read from a place where others may write: a manifest of 400,000 files
JSON_DEPTH = 64  # a record nests 10 deep; code that walks a value by recursion may go this deep


def of_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_plain(path: Path | str, folder: int | None = None) -> str | None:
    """Return the hex SHA-256 of a file in a place where others may write; None where there is none.

    `folder` is the descriptor of the directory that `path` is relative to. Raises Unusable for anything but a readable
    regular file."""
    descriptor = open_plain(path, folder)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        check_plain(descriptor)
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_bytes(data: bytes) -> str:
    """Return the hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def of_value(value: object) -> str:
    """Return the hex SHA-256 of a value's canonical JSON: sorted keys, no spaces, UTF-8."""
    return of_bytes(canonical(value))


def canonical(value: object) -> bytes:
    """Return the canonical JSON text of a value, for hashing and comparing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(value: Any) -> Any:
    """Normalise a value before it is hashed: a whole float such as 1.0 becomes the integer, a tuple becomes a list."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return int(value)
    return value


def of_entry(folder: int | None, name: str) -> str | None:
    """Return the hex SHA-256 of a regular file in an open directory (None: the working directory); None for anything
    else and for a file that may not be read."""
    try:
        return of_plain(name, folder)
    except (Unusable, OSError):
        return None


def of_tree(path: Path) -> str:
    """Return the digest of a source as it is now: of a file, its bytes; of a directory, relative names and contents.

    Empty directories are ignored. Raises StemmaError as `of_source`."""
    return of_source(path, of_file)


def of_source(path: Path, of_each: Callable[[Path], str]) -> str:
    """Return the digest of a source; `of_each` gives the digest of each file, so that a cache can answer. The source
    itself may be a symbolic link; nothing below it may be one.

    Raises StemmaError, which names the file, for anything but a regular file and for a name that is not UTF-8."""
    what = f"source {shown(path)}"
    try:
        found = path.stat()
    except FileNotFoundError:
        raise StemmaError(f"{what} does not exist; correct the path in the config or create it") from None
    except OSError as error:
        raise StemmaError(f"{what} cannot be read ({reason(error)}); correct the path in the config") from None
    if not is_text(str(path)):
        raise StemmaError(f"the name of {what} is not UTF-8; rename it")
    if stat.S_ISREG(found.st_mode):
        return of_each(path)
    if not stat.S_ISDIR(found.st_mode):
        raise StemmaError(
            f"{what} is {kind_of(found)}, and a source has to stay what it is; give a file or a directory"
        )
    try:
        names = regular_below(path, what, "a source has files and directories alone; remove it, or name what is in it")
        return of_value({name: of_each(path / name) for name in names})
    except FileNotFoundError as error:
        raise StemmaError(f"{what}: {error.filename} went away while it was read; run again") from None


def files_below(directory: Path) -> list[Path]:
    """Return everything below a directory except directories, sorted by path; links are not followed."""
    return [directory / name for name, _ in names_below(directory)]


class StatCache:
    """Caches the digests of sources by file stamp (size, times, inode), so that a big corpus is hashed once, not per
    run.

    The cache is one JSON file, rewritten by atomic rename. It serves sources only: an artifact's bytes are hashed
    whenever they matter.
    """

    def __init__(self, path: Path):
        self.path = path
        self.known: dict[str, object] = read_json(path) or {}
        self.changed = False

    def digest(self, source: Path) -> str:
        """Return the digest of a source file or tree; only files whose stamp has changed are read."""
        real = Path(os.path.realpath(source))
        return of_source(source, lambda file: self.file(file, real / file.relative_to(source)))

    def file(self, path: Path, name: Path) -> str:
        """Return the digest of one file, cached under its real name. A file that was written a moment ago is not
        cached: it could be written again within the same tick of the file system's clock."""
        stamp = stamp_of(path.stat())
        *known, sha256 = made(CACHED, self.known.get(str(name))) or (None,)
        if sha256 and known == stamp:
            return sha256
        sha256 = of_file(path)
        if stamp_of(path.stat()) == stamp and time.time_ns() - stamp[2] > GRAIN:
            self.known[str(name)] = [*stamp, sha256]
            self.changed = True
        return sha256

    def save(self) -> None:
        """Write the cache, if anything new was learned."""
        if self.changed:
            write_atomically(self.path, json.dumps(self.known).encode())
            self.changed = False


def read_json(path: Path) -> dict | None:
    """Read a JSON object from a file; None where the file is missing, incomplete or not a regular file."""
    try:
        data = read_plain(path, JSON_BYTES)
        value = None if data is None else from_json(data)
    except (Unusable, ValueError):
        return None
    return value if isinstance(value, dict) else None


def from_json(data: bytes) -> Any:
    """Parse a JSON text that others may have written. Raises ValueError where it is malformed, has a key twice, nests
    deeper than JSON_DEPTH, or holds text that UTF-8 cannot encode."""
    text = data.decode()
    try:
        value = decoder().decode(text)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    if is_deeper(value, JSON_DEPTH):
        raise ValueError("is nested too deep")
    if "\\u" in text:
        canonical(value)  # a lone half of a surrogate pair raises UnicodeEncodeError, which is a ValueError
    return value


@cache
def decoder() -> json.JSONDecoder:
    """Return the JSON decoder that refuses an object with a key twice; it is made once."""
    return json.JSONDecoder(object_pairs_hook=distinct)


def distinct(pairs: list[tuple[str, object]]) -> dict:
    """Make an object of its pairs. Raises ValueError for a key that comes twice: readers differ in which one they
    take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("has a key twice")
    return found


def is_deeper(value: object, depth: int) -> bool:
    """Does a JSON value nest deeper than `depth` levels?"""
    level = [value]
    for _ in range(depth):
        if not level:
            return False
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return bool(level)


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file by atomic rename: it is there with all its bytes or not at all, whenever the process or the machine
    stops. `mode`: its permission bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        temporary.unlink(missing_ok=True)
        with created(temporary) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
