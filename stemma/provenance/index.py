"""What the records of a store and the pointers of results/ say, as tables that answer in milliseconds.

A cache of what can be read from the records again at any time: one SQLite image beside the pointers, led by its own
digest. It is loaded whole, brought up to date with the files it has not seen yet, and put back by atomic rename. So two
processes may build it at once (the last one's stays), a kill leaves the old one, a damaged one is not believed and made
again, and where nothing can be written the answer is given without keeping it.
Signatures are not looked at here: `verify` does that. Records that only the shared store holds are not seen.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stemma.base import digest
from stemma.base.digest import JSON_BYTES
from stemma.base.files import stamp_of
from stemma.base.untrusted_files import Unusable, read_plain
from stemma.store.artifact import MANIFEST, POINTERS, Pointer
from stemma.store.local import Store
from stemma.store.manifest import members

INDEX = POINTERS / "index.sqlite"
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
    """A file to index: its name in the index, where it lies, and a stamp that changes whenever it is replaced."""

    name: str
    path: str
    stamp: str


class Index:
    """The tables, up to date with the store and with this directory at the moment it was opened."""

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
        """All rows of a query."""
        return self.tables.execute(query, values).fetchall()

    def durations(self, rule: str) -> list[float]:
        """Seconds that each recorded job of a rule took, oldest first; what was served without running is left out."""
        return [seconds for (seconds,) in self.rows(
            "SELECT seconds FROM record WHERE rule = ? AND seconds > 0 ORDER BY finished, id", rule
        )]  # fmt: skip

    def take_records(self) -> None:
        """Index the records not seen yet; forget those that are gone."""
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
            else:  # a record's time is that of its last use: only the stamp is new
                self.tables.execute("UPDATE record SET stamp = ? WHERE id = ?", (found.stamp, number))
        for number, _, _ in known.values():
            self.forget_record(number)

    def take_pointers(self) -> None:
        """The same for the pointers of this directory."""
        known = dict(self.rows("SELECT path, stamp FROM pointer"))
        for found in pointer_files():
            stamp = known.pop(found.name, None)
            if stamp == found.stamp:
                continue
            self.tables.execute("DELETE FROM pointer WHERE path = ?", (found.name,))
            pointer = Pointer.of_json(digest.read_json(Path(found.path)) or {})  # settings and the like lie here too
            row = (pointer.sha256, pointer.action, pointer.record) if pointer else (None, None, None)
            self.tables.execute("INSERT INTO pointer VALUES (?, ?, ?, ?, ?)", (found.name, found.stamp, *row))
        self.tables.executemany("DELETE FROM pointer WHERE path = ?", [(name,) for name in known])

    def take_manifests(self) -> None:
        """What the directories consist of, for every manifest that a record names and that was not read yet."""
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
        """One record's rows. One that is not whole gets an empty row, so that it is not parsed at every question."""
        if envelope is None:
            return
        from stemma.provenance.trust import shaped  # most questions meet no new record

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
        """The number of a set of code files; a closure that many records share is kept once."""
        name = digest.of_value(files)
        known = self.rows("SELECT id FROM code WHERE digest = ?", name)
        if known:
            return known[0][0]
        number = self.tables.execute("INSERT INTO code (digest) VALUES (?)", (name,)).lastrowid
        self.tables.executemany("INSERT INTO code_file VALUES (?, ?, ?)", [(number, *file) for file in files])
        return number

    def forget_record(self, number: int | None) -> None:
        """Take a record's rows out, if it has any."""
        if number is None:
            return
        for table in OF_RECORD:
            self.tables.execute(f"DELETE FROM {table} WHERE record = ?", (number,))
        self.tables.execute("DELETE FROM record WHERE id = ?", (number,))


def rows_of(record: dict) -> tuple[tuple, dict[str, list[tuple]]]:
    """(rule, script, finished, seconds, origin) of a record, and its rows in the other tables."""
    from stemma.provenance.record import external, inputs_of, usage_of

    asked = external(record)
    inputs = inputs_of(record)
    resolved = record["predicate"]["buildDefinition"]["resolvedDependencies"]
    metadata = record["predicate"]["runDetails"]["metadata"]
    # What has no input was made from its parameters alone (a URL and its pin): they are where it comes from.
    origin = None if inputs else digest.canonical(asked["params"]).decode()
    values = (asked["rule"], asked["script"], metadata["finishedOn"], usage_of(record)["seconds"], origin)
    positions: dict[str, int] = {}
    subjects = []
    for subject in record["subject"]:
        output = subject["annotations"]["output"]
        position = positions[output] = positions.get(output, -1) + 1
        subjects.append((output, position, subject["name"], subject["digest"]["sha256"]))
    return values, {
        "subject": subjects,
        "input": [
            (item["annotations"]["kind"], item["name"], item["digest"]["sha256"], item["annotations"].get("record"))
            for item in inputs
        ],
        "wildcard": [(str(value),) for value in asked["wildcards"].values()],
        "code": [
            (item["name"], item["digest"]["sha256"])
            for item in resolved
            if item["annotations"]["kind"] in ("module", "data")
        ],
    }


def record_files(store: Store) -> Iterator[Found]:
    """Every record of the store."""
    for folder in entries(str(store.path / "records")):
        for entry in entries(folder.path) if folder.is_dir() else ():
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                yield from found(entry, folder.name + entry.name.removesuffix(".json"))


def pointer_files() -> Iterator[Found]:
    """Every file among this directory's pointers, named by the path it speaks of."""
    waiting = [str(POINTERS)]
    while waiting:
        for entry in entries(waiting.pop()):
            if entry.is_dir():
                waiting.append(entry.path)
            elif entry.name.endswith(".json") and not entry.name.startswith("."):
                inside = entry.path[len(str(POINTERS)) :].removesuffix(".json")
                yield from found(entry, f"results{inside}")


def entries(folder: str) -> list[os.DirEntry]:
    """What a directory holds; nothing where it is missing."""
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except FileNotFoundError:
        return []


def found(entry: os.DirEntry, name: str) -> Iterator[Found]:
    """The file with its stamp, unless it went away meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        yield Found(name, entry.path, "-".join(map(str, stamp_of(entry.stat()))))


def bytes_of(found: Found) -> bytes | None:
    """The file's bytes; None where it was taken away since its directory was listed, or may not be read."""
    try:
        return read_plain(found.path, JSON_BYTES)
    except Unusable:
        return None


def members_of(store: Store, sha256: str) -> list[tuple[str, str]] | None:
    """(path, SHA-256) of the files a stored manifest lists; None where it is not here, or not whole."""
    try:
        data = read_plain(store.object_path(sha256), JSON_BYTES)
        if data is None or digest.of_bytes(data) != sha256:
            return None
        return [(member.path, member.sha256) for member in members(data)]
    except (Unusable, ValueError):
        return None


def load(image: bytes | None) -> sqlite3.Connection:
    """The tables in memory, from an image or empty."""
    tables = sqlite3.connect(":memory:")
    if image is None:
        tables.executescript(SCHEMA)
    else:
        tables.deserialize(image)
    return tables


def read_image(path: Path) -> bytes | None:
    """The image that was kept; None where there is none, where it is damaged, and where its tables are not today's."""
    try:
        data = path.read_bytes()
    except OSError:  # missing or unreadable: either way it is made from the records
        return None
    seal, image = data[:64], data[64:]
    return image if seal == seal_of(image) else None


def keep_image(path: Path, image: bytes) -> None:
    """Put it back if that is possible here: a read-only or a full directory only costs the next question some time."""
    if not path.parent.is_dir():  # nothing was built here: leave no traces
        return
    with contextlib.suppress(OSError):
        digest.write_atomically(path, seal_of(image) + image)


def seal_of(image: bytes) -> bytes:
    """The digest that leads the image: of these tables' definition and of every byte."""
    seal = hashlib.sha256(SCHEMA.encode())
    seal.update(image)
    return seal.hexdigest().encode()
