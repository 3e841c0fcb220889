"""Parses a directory's `manifest.json`, which others may have written, into files with safe names.

A safe name is relative, never leaves the directory, means the same on every file system and is printable; no two names
of a manifest collide. Names that a job makes are checked alike.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from stemma.base.digest import JSON_BYTES, from_json
from stemma.base.untrusted_files import Unusable, read_plain

MANIFEST = "manifest.json"
SHA256 = re.compile(r"[0-9a-f]{64}")
NAME_BYTES, PATH_BYTES = 255, 4095  # the longest component and path, in bytes: Linux's limits, and most others'
MOST_BYTES = 1 << 63  # a file has fewer bytes


@dataclass(frozen=True)
class Member:
    """A file of a directory: its relative name, its size in bytes, its SHA-256."""

    path: str
    size: int
    sha256: str


def read_members(manifest: Path) -> list[Member]:
    """Read the files that a manifest lists. Raises ValueError where it is malformed, FileNotFoundError where it is
    gone."""
    try:
        data = read_plain(manifest, JSON_BYTES)
    except Unusable as why:
        raise ValueError(f"{manifest} {why}") from None
    if data is None:
        raise FileNotFoundError(manifest)
    return members(data)


def members(data: bytes) -> list[Member]:
    """Parse the files that a manifest's text lists. Raises ValueError, which says what is wrong with it."""
    value = from_json(data)
    if not isinstance(value, dict) or value.keys() != {"files"} or not isinstance(value["files"], list):
        raise ValueError("is no manifest")
    found = [member(entry) for entry in value["files"]]
    check_names([one.path for one in found])
    if len({one.sha256 for one in found}) < len({(one.sha256, one.size) for one in found}):
        raise ValueError("states two sizes for the same bytes")
    return found


def member(entry: object) -> Member:
    """Parse one entry of a manifest. Raises ValueError."""
    if not isinstance(entry, dict) or entry.keys() != {"path", "size", "sha256"}:
        raise ValueError("has an entry that is no file")
    path, size, sha256 = entry["path"], entry["size"], entry["sha256"]
    if not isinstance(path, str) or not is_digest(sha256):
        raise ValueError("has an entry without a name or a digest")
    if type(size) is not int or not 0 <= size < MOST_BYTES:
        raise ValueError(f"has no size for {path!r}")
    return Member(path, size, sha256)


def is_digest(value: object) -> bool:
    """Is it a SHA-256 in hex?"""
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def check_names(names: list[str]) -> None:
    """Raise ValueError for names that cannot stand together in a directory with a manifest."""
    files: dict[str, str] = {}
    for name in names:
        wrong = fault_of(name)
        if wrong:
            raise ValueError(f"has {name!r}, which {wrong}")
        same = folded(name)
        if same in files:
            raise ValueError(f"has {files[same]!r} and {name!r}, which some file systems take for one")
        files[same] = name
    for name in names:
        for folder in Path(name).parents:
            if folded(str(folder)) in files:
                raise ValueError(f"has {str(folder)!r} as a file and {name!r} in it")


def folded(name: str) -> str:
    """Return a name as the least exact file system compares it: without case, in Unicode normal form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def leads_down(name: str) -> bool:
    """Does the name, joined to a directory, stay inside it?"""
    parts = name.split("/")
    return all(parts) and not {".", ".."} & set(parts) and "\0" not in name


def fault_of(name: str) -> str | None:
    """Return why a file in a directory cannot have this name, in a few words; None if it can."""
    if not leads_down(name):
        return "is no plain relative name"
    if not name.isprintable():
        return "has characters that cannot be printed"
    if len(name.encode()) > PATH_BYTES or any(len(part.encode()) > NAME_BYTES for part in name.split("/")):
        return "is longer than a name can be"
    if folded(name) == MANIFEST:
        return "is the manifest's own"
    return None
