"""An index of a store's records and of the pointers of results/, as SQL tables that answer in milliseconds.

It is a cache that can be made from the records again at any time: one SQLite image beside the pointers, preceded by its
digest. It is loaded whole, updated with the files it has not seen, and written back by atomic rename. So two processes
may build it at once (the last one's stays), a kill leaves the old one, a damaged one is ignored and rebuilt, and in a
read-only directory answers are given without saving it. Signatures are not checked here: `verify` does that. Records
that only the shared store holds are not seen.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stemma.base import digest
from stemma.base.digest import JSON_BYTES
from stemma.base.errors import StemmaError
from stemma.base.files import stamp_of
from stemma.base.untrusted_files import Unusable, read_plain
from stemma.provenance.record import Record
from stemma.store.artifact import MANIFEST, POINTERS, Pointer
from stemma.store.local import Store
from stemma.store.manifest import members
from stemma.store.open_beneath import write_beneath

INDEX = POINTERS / "index.sqlite"
IMAGE_BYTES = 4 << 30  # the largest image read: of some ten million jobs
SCHEMA = """
CREATE TABLE record (id INTEGER PRIMARY KEY, action TEXT, stamp TEXT, sha256 TEXT, rule TEXT, script TEXT,
    finished TEXT, seconds REAL, origin TEXT, code INTEGER);
CREATE TABLE subject (record INTEGER, output TEXT, position INTEGER, path TEXT, sha256 TEXT);
CREATE TABLE input (record INTEGER, kind TEXT, path TEXT, sha256 TEXT, parent TEXT);
CREATE TABLE wildcard (record INTEGER, value TEXT);
CREATE TABLE code (id INTEGER PRIMARY KEY, digest TEXT);
CREATE TABLE code_file (code INTEGER, path TEXT, sha256 TEXT);
CREATE TABLE manifest (sha256 TEXT PRIMARY KEY);
CREATE TABLE member (manifest TEXT, path TEXT, sha256 TEXT);
CREATE TABLE pointer (path TEXT, stamp TEXT, sha256 TEXT, action TEXT, record TEXT);
CREATE INDEX record_action ON record (action);
CREATE INDEX record_sha256 ON record (sha256);
CREATE INDEX record_rule ON record (rule);
CREATE INDEX subject_record ON subject (record);
CREATE INDEX subject_sha256 ON subject (sha256);
CREATE INDEX subject_path ON subject (path);
CREATE INDEX input_record ON input (record);
CREATE INDEX input_sha256 ON input (sha256);
CREATE INDEX wildcard_value ON wildcard (value);
CREATE INDEX wildcard_record ON wildcard (record);
CREATE INDEX code_digest ON code (digest);
CREATE INDEX code_file_path ON code_file (path);
CREATE INDEX member_sha256 ON member (sha256);
CREATE INDEX member_manifest ON member (manifest);
CREATE INDEX pointer_path ON pointer (path);
CREATE INDEX pointer_sha256 ON pointer (sha256);
"""
OF_RECORD = ("subject", "input", "wildcard")


@dataclass(frozen=True)
class Found:
    """A file to index: its name in the index, its path, and a stamp that changes whenever it is replaced."""

    name: str
    path: str
    stamp: str


class Index:
    """The tables, up to date with the store and this directory at the moment of opening."""

    def __init__(self, store: Store):
        self.store = store
        image = read_image(INDEX)
        self.tables = load(image)
        changes = self.tables.total_changes
        with self.tables:
            self.take_records()
            self.take_pointers()
            self.take_manifests()
        if image is None or self.tables.total_changes != changes:
            keep_image(INDEX, self.tables.serialize())

    def rows(self, query: str, *values: object) -> list[tuple]:
        """Return all rows of a query."""
        return self.tables.execute(query, values).fetchall()

    def durations(self, rule: str) -> list[float]:
        """Return the seconds that each recorded job of a rule took, oldest first; cache hits are left out."""
        return [seconds for (seconds,) in self.rows(
            "SELECT seconds FROM record WHERE rule = ? AND seconds > 0 ORDER BY finished, id", rule
        )]  # fmt: skip

    def take_records(self) -> None:
        """Index the records that are new or changed; delete those that are gone."""
        rows = self.rows("SELECT action, id, stamp, sha256 FROM record")
        known = {action: row for action, *row in rows}
        for found in record_files(self.store):
            number, stamp, sha256 = known.pop(found.name, (None, None, None))
            if stamp == found.stamp:
                continue
            envelope = bytes_of(found)
            if envelope is None or number is None or digest.of_bytes(envelope) != sha256:
                self.forget_record(number)
                self.add_record(found, envelope)
            else:  # only the stamp is new: a hit renews a record's time
                self.tables.execute("UPDATE record SET stamp = ? WHERE id = ?", (found.stamp, number))
        for number, _, _ in known.values():
            self.forget_record(number)

    def take_pointers(self) -> None:
        """Index the pointers of this directory that are new or changed; delete those that are gone."""
        known = dict(self.rows("SELECT path, stamp FROM pointer"))
        for found in pointer_files():
            stamp = known.pop(found.name, None)
            if stamp == found.stamp:
                continue
            self.tables.execute("DELETE FROM pointer WHERE path = ?", (found.name,))
            pointer = Pointer.of_json(digest.read_json(Path(found.path)) or {})  # settings and other files lie here too
            row = (pointer.sha256, pointer.action, pointer.record) if pointer else (None, None, None)
            self.tables.execute("INSERT INTO pointer VALUES (?, ?, ?, ?, ?)", (found.name, found.stamp, *row))
        self.tables.executemany("DELETE FROM pointer WHERE path = ?", [(name,) for name in known])

    def take_manifests(self) -> None:
        """Index the files of each manifest that a record names and that was not read yet; delete those no record
        names."""
        for table, column in (("member", "manifest"), ("manifest", "sha256")):
            self.tables.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT sha256 FROM subject)")
        for (sha256,) in self.rows(
            "SELECT DISTINCT sha256 FROM subject WHERE (path = ?1 OR path LIKE '%/' || ?1)"
            " AND sha256 NOT IN (SELECT sha256 FROM manifest)", MANIFEST,
        ):  # fmt: skip
            members = members_of(self.store, sha256)
            if members is not None:
                self.tables.execute("INSERT INTO manifest VALUES (?)", (sha256,))
                rows = [(sha256, path, member) for path, member in members]
                self.tables.executemany("INSERT INTO member VALUES (?, ?, ?)", rows)

    def add_record(self, found: Found, envelope: bytes | None) -> None:
        """Insert one record's rows. A malformed one gets an empty row, so that it is not parsed at every question."""
        if envelope is None:
            return
        from stemma.provenance.trust import shaped  # imported here: most questions meet no new record

        columns = "INSERT INTO record (action, stamp, sha256, rule, script, finished, seconds, origin, code) VALUES"
        record = shaped(envelope)
        sha256 = digest.of_bytes(envelope)
        values, rows = rows_of(record) if record else ((None,) * 5, {})
        code = self.code_of(rows.pop("code")) if rows else None
        row = (found.name, found.stamp, sha256, *values, code)
        number = self.tables.execute(f"{columns} (?, ?, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid
        for table, found_rows in rows.items():
            for values in found_rows:
                self.tables.execute(
                    f"INSERT INTO {table} VALUES ({', '.join('?' * (len(values) + 1))})", (number, *values)
                )

    def code_of(self, files: list[tuple[str, str]]) -> int:
        """Return the number of a set of code files; a closure that many records share is stored once."""
        name = digest.of_value(files)
        known = self.rows("SELECT id FROM code WHERE digest = ?", name)
        if known:
            return known[0][0]
        number = self.tables.execute("INSERT INTO code (digest) VALUES (?)", (name,)).lastrowid
        assert number is not None
        self.tables.executemany("INSERT INTO code_file VALUES (?, ?, ?)", [(number, *file) for file in files])
        return number

    def forget_record(self, number: int | None) -> None:
        """Delete a record's rows, if it has any."""
        if number is None:
            return
        for table in OF_RECORD:
            self.tables.execute(f"DELETE FROM {table} WHERE record = ?", (number,))
        self.tables.execute("DELETE FROM record WHERE id = ?", (number,))


def rows_of(record: Record) -> tuple[tuple, dict[str, list[tuple]]]:
    """Return (rule, script, finished, seconds, origin) of a record, and its rows in the other tables."""
    # A job without inputs made its artifact from params alone (a URL and its pin), so they are its origin.
    origin = None if record.inputs else digest.canonical(record.params).decode()
    values = (record.rule, record.script, record.finished, record.usage["seconds"], origin)
    positions: Counter[str] = Counter()
    subjects = []
    for made in record.outputs:
        subjects.append((made.argument, positions[made.argument], made.path, made.sha256))
        positions[made.argument] += 1
    return values, {
        "subject": subjects,
        "input": [
            ("source" if item.is_source else "input", item.path, item.sha256, item.record) for item in record.inputs
        ],
        "wildcard": [(str(value),) for value in record.wildcards.values()],
        "code": list(record.code.items()),
    }


def record_files(store: Store) -> Iterator[Found]:
    """Yield every record of the store."""
    for folder in entries(str(store.path / "records")):
        for entry in entries(folder.path) if folder.is_dir() else ():
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                yield from found(entry, folder.name + entry.name.removesuffix(".json"))


def pointer_files() -> Iterator[Found]:
    """Yield every file among this directory's pointers, named by the path it is about."""
    waiting = [str(POINTERS)]
    while waiting:
        for entry in entries(waiting.pop()):
            if entry.is_dir():
                waiting.append(entry.path)
            elif entry.name.endswith(".json") and not entry.name.startswith("."):
                inside = entry.path[len(str(POINTERS)) :].removesuffix(".json")
                yield from found(entry, f"results{inside}")


def entries(folder: str) -> list[os.DirEntry]:
    """Return the entries of a directory; none where it is missing."""
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except FileNotFoundError:
        return []


def found(entry: os.DirEntry, name: str) -> Iterator[Found]:
    """Yield the file with its stamp, unless it has gone meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        yield Found(name, entry.path, "-".join(map(str, stamp_of(entry.stat()))))


def bytes_of(found: Found) -> bytes | None:
    """Return the file's bytes; None where it has gone since its directory was listed, or may not be read."""
    try:
        return read_plain(found.path, JSON_BYTES)
    except Unusable:
        return None


def members_of(store: Store, sha256: str) -> list[tuple[str, str]] | None:
    """Return (path, SHA-256) of the files that a stored manifest lists; None where it is missing or malformed."""
    try:
        data = read_plain(store.object_path(sha256), JSON_BYTES)
        if data is None or digest.of_bytes(data) != sha256:
            return None
        return [(member.path, member.sha256) for member in members(data)]
    except (Unusable, ValueError):
        return None


def load(image: bytes | None) -> sqlite3.Connection:
    """Return the tables in memory, from an image or empty."""
    tables = sqlite3.connect(":memory:")
    if image is None:
        tables.executescript(SCHEMA)
    else:
        tables.deserialize(image)
    return tables


def read_image(path: Path) -> bytes | None:
    """Return the saved image; None where it is missing or damaged, or has another schema."""
    try:
        data = read_plain(path, IMAGE_BYTES)
    except (OSError, Unusable):  # it is made from the records
        return None
    if data is None:
        return None
    seal, image = data[:64], data[64:]
    return image if seal == seal_of(image) else None


def keep_image(path: Path, image: bytes) -> None:
    """Save the image where that is possible; in a read-only or full directory the next question just takes longer."""
    if not path.parent.is_dir():  # nothing was built here, so no file is left behind
        return
    with contextlib.suppress(OSError, StemmaError):  # StemmaError: a link is in the way
        write_beneath(path, seal_of(image) + image)


def seal_of(image: bytes) -> bytes:
    """Return the digest that precedes the image: of the schema and of every byte."""
    seal = hashlib.sha256(SCHEMA.encode())
    seal.update(image)
    return seal.hexdigest().encode()
