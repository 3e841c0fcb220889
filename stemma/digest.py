"""SHA-256 of files, directory trees and plain values. Knows nothing of the store or of records."""

import hashlib
import json
import os
from pathlib import Path

from stemma.errors import StemmaError
from stemma.files import beside

EXACT = 2**53  # up to here a float is one integer
SOURCES = Path("results/.records/sources.json")  # where digests of sources are remembered


def of_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_bytes(data: bytes) -> str:
    """Hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def of_value(value: object) -> str:
    """Hex SHA-256 of a value's canonical JSON: sorted keys, no spaces, UTF-8."""
    return of_bytes(canonical(value))


def canonical(value: object) -> bytes:
    """The one JSON text of a value, for hashing and comparing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(value: object) -> object:
    """A value with one spelling for equal numbers: 1.0 becomes 1, tuples lists."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    exact = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT
    return int(value) if exact else value


def of_tree(path: Path) -> str:
    """Digest of a file, or of a directory's relative names and contents (links are followed, empty folders ignored)."""
    if path.is_file():
        return of_file(path)
    return of_value({str(file.relative_to(path)): of_file(file) for file in files_below(path)})


def files_below(directory: Path) -> list[Path]:
    """Every file below a directory, sorted by path, so that no file system's order shows."""
    found = []
    for folder, folders, names in os.walk(directory, followlinks=True):
        folders.sort()
        found += [Path(folder, name) for name in names]
    return sorted(found)


class StatCache:
    """Digests of sources, remembered by size, modification time and inode: a big corpus is hashed once, not per call.

    One JSON file, rewritten by atomic rename. Only for sources: an artifact is always hashed where it matters.
    """

    def __init__(self, path: Path):
        self.path = path
        self.known: dict[str, list] = read_json(path) or {}
        self.changed = False

    def digest(self, source: Path) -> str:
        """Digest of a source file or tree, from the cache where nothing about a file has changed."""
        if not source.exists():
            raise StemmaError(f"source {source} does not exist; correct the path in the config or create it")
        if source.is_file():
            return self.file(source)
        return of_value({str(file.relative_to(source)): self.file(file) for file in files_below(source)})

    def file(self, path: Path) -> str:
        """Digest of one file."""
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        name = str(path.resolve())
        entry = self.known.get(name)
        if entry and entry[:3] == stamp:
            return entry[3]
        digest = of_file(path)
        self.known[name] = [*stamp, digest]
        self.changed = True
        return digest

    def save(self) -> None:
        """Write what was learned, if anything was."""
        if self.changed:
            write_atomically(self.path, json.dumps(self.known).encode())
            self.changed = False


def read_json(path: Path) -> dict | None:
    """A JSON object from a file; None where the file is missing or is not whole."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """The file is there with all its bytes or not at all, at whatever instant the process or the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
