"""Garbage collection of a store: finds what is in use, and deletes the rest while jobs may be running.

In use is what pointers name (every directory that builds with the store is registered in roots/), all that it was made
from according to its records, and every object that such a record names. With a budget, unused records stay too, the
most recently used first, each with its ancestors, until their objects would exceed it. A record's last use is the later
of its file's time, which every hit renews, and the end of its job; a clock that was set back only makes a record go
earlier.

Three guards let it run beside jobs. Objects and records that entered after the oldest running job began are spared:
their record or pointer may yet come. What goes is first set aside, then roots and records are read again, and what came
into use meanwhile is put back. And a job checks at its end that all it needs is there (stemma/execute/run.py).

results/ and the shared store are never touched: who else uses the latter cannot be known from here.
"""

import contextlib
import errno
import os
import time
from calendar import timegm
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError, reason
from stemma.base.files import owner_is_dead
from stemma.provenance.publish import objects_of
from stemma.provenance.trust import shaped
from stemma.store import artifact
from stemma.store.local import Store
from stemma.store.manifest import is_digest

GRAIN = digest.GRAIN / 1e9  # seconds


@dataclass(frozen=True)
class Entry:
    """A record as gc sees it. `used`, `entered`: seconds since the epoch. `parents`: (digest of the parent's envelope,
    digest of the artifact) of each input."""

    key: str
    sha256: str
    rule: str
    name: str
    used: float
    entered: float
    subjects: tuple[str, ...]
    objects: frozenset[str]
    parents: tuple[tuple[str | None, str], ...]


@dataclass(frozen=True)
class Size:
    """An object on disk: its size in bytes, whether it has other hard links, when it entered (its ctime)."""

    bytes: int
    linked: bool
    entered: float


@dataclass
class Roots:
    """What directories use: action keys, and objects that pointers name themselves."""

    keys: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)


class Family:
    """The records by action key, with the parent relation between them."""

    def __init__(self, entries: dict[str, Entry]):
        self.entries = entries
        self.envelopes = {entry.sha256: key for key, entry in entries.items()}
        self.makers: dict[str, list[str]] = {}
        for key, entry in entries.items():
            for sha256 in entry.subjects:
                self.makers.setdefault(sha256, []).append(key)

    def reach(self, keys: Iterable[str], known: frozenset[str] | set[str] = frozenset()) -> set[str]:
        """Return these records and their ancestors, except `known` ones and what only they lead to. A parent is found
        by the digest of its record or, where that record was replaced, by the digest of the artifact."""
        found: set[str] = set()
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key in found or key in known or key not in self.entries:
                continue
            found.add(key)
            for record, sha256 in self.entries[key].parents:
                if record in self.envelopes:
                    waiting.append(self.envelopes[record])
                elif record:
                    waiting += self.makers.get(sha256, [])
        return found

    def objects(self, keys: Iterable[str]) -> set[str]:
        """Return all objects that these records name."""
        return set().union(*(self.entries[key].objects for key in keys))


@dataclass
class Plan:
    """What is here, what is used, and what goes. `records`: action key -> size in bytes of the record's file.
    `guarded`: unused objects that are spared only because a running job may need them."""

    family: Family
    sizes: dict[str, Size]
    records: dict[str, int]
    used: set[str]
    used_objects: set[str]
    kept: set[str]
    records_going: list[str]
    objects_going: list[str]
    guarded: set[str]

    def bytes_of(self, objects: Iterable[str]) -> int:
        """Return the total size in bytes of those of the objects that are here."""
        return sum(self.sizes[sha256].bytes for sha256 in objects if sha256 in self.sizes)

    @property
    def bytes_freed(self) -> int:
        """The bytes that the disk gets back: an object with another hard link frees nothing."""
        return self.bytes_of(sha256 for sha256 in self.objects_going if not self.sizes[sha256].linked)


def plan(store: Store, budget: int | None = None) -> Plan:
    """Survey the store and decide what goes. `budget`: bytes that unused records may fill; None: unused ones go."""
    began = oldest_job(store)  # before anything is listed
    files = {key: store.record_path(key) for key in store.actions()}
    family = Family({entry.key: entry for key, file in files.items() if (entry := read_entry(store, key, file))})
    sizes = dict(sizes_of(store))
    roots = roots_of(store)
    used = family.reach(roots.keys)
    used_objects = roots.objects | family.objects(used)
    kept = used | family.reach((key for key, entry in family.entries.items() if entry.entered >= began), used)
    objects = used_objects | family.objects(kept)
    if budget is not None:
        fill(family, sizes, kept, objects, budget)
    loose = sizes.keys() - objects
    guarded = {sha256 for sha256 in loose if sizes[sha256].entered >= began}
    return Plan(
        family=family,
        sizes=sizes,
        records={key: file.stat().st_size for key, file in files.items() if file.exists()},
        used=used,
        used_objects=used_objects & sizes.keys(),
        kept=kept,
        records_going=sorted(files.keys() - kept),
        objects_going=sorted(loose - guarded),
        guarded=guarded,
    )


def fill(family: Family, sizes: dict[str, Size], kept: set[str], objects: set[str], budget: int) -> None:
    """Add records to `kept`, the most recently used first, until the next one with its ancestors would exceed the
    budget."""
    spent = sum(sizes[sha256].bytes for sha256 in objects & sizes.keys())
    for entry in sorted(family.entries.values(), key=lambda entry: (entry.used, entry.key), reverse=True):
        keys = family.reach([entry.key], kept)
        more = family.objects(keys) - objects
        spent += sum(sizes[sha256].bytes for sha256 in more & sizes.keys())
        if spent > budget:
            return
        kept |= keys
        objects |= more


def collect(store: Store, planned: Plan) -> Plan:
    """Carry out a plan. Returns what really went: less than planned where something came into use meanwhile.

    Raises StemmaError where nothing at all is in use: that is more likely a wrong directory than garbage."""
    if planned.records and not planned.used:
        raise StemmaError(
            f"nothing in {Path('results').absolute()} points into {store.path}, so all of it would go; run this "
            "where something was built with it, or delete it yourself"
        )
    with store.workspace() as aside:
        records = [key for key in planned.records_going if set_aside(store.record_path(key), aside / key)]
        objects = [sha256 for sha256 in planned.objects_going if set_aside(store.object_path(sha256), aside / sha256)]
        back = put_back(store, planned, aside)
    return replace(
        planned,
        records_going=[key for key in records if key not in back],
        objects_going=[sha256 for sha256 in objects if sha256 not in back],
    )


def put_back(store: Store, planned: Plan, aside: Path) -> set[str]:
    """Put back what has come into use since the plan was made; return the names of what is back."""
    roots = roots_of(store)
    keys = planned.family.reach(roots.keys, planned.kept) & set(planned.records_going)
    back = {key for key in keys if restore(aside / key, store.record_path(key))}
    for _ in range(2):  # a manifest must be back before the files it lists are known
        wanted = set(roots.objects)
        for key in store.actions():
            entry = None if key in planned.kept else read_entry(store, key, store.record_path(key))
            wanted |= entry.objects if entry else set()
        back |= {s for s in wanted & set(planned.objects_going) if restore(aside / s, store.object_path(s))}
    return back


def set_aside(path: Path, target: Path) -> bool:
    """Rename a file out of the store; False where it is gone already."""
    try:
        path.replace(target)
    except FileNotFoundError:
        return False
    return True


def restore(source: Path, target: Path) -> bool:
    """Put a file back unless a new one has taken its place; False where it was not set aside."""
    if not source.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        source.replace(target)
    return True


def roots_of(store: Store) -> Roots:
    """Return what the pointers of this directory and of every registered one name."""
    found = Roots()
    links = (store.path / "roots").glob("*")
    for folder in {os.path.realpath(artifact.POINTERS), *map(os.path.realpath, links)}:
        for file in pointers_below(folder):
            value = digest.read_json(file) or {}
            pointer = artifact.Pointer.of_json(value)
            if pointer:
                found.keys.add(pointer.action)
                found.objects.add(pointer.sha256)
            if is_digest(value.get("config")):  # pointers have one, and the last build's settings
                found.objects.add(value["config"])
    return found


def pointers_below(folder: str) -> Iterator[Path]:
    """Yield the pointers of a directory that builds with the store; none where it is gone. Raises StemmaError where
    they cannot be read, since objects in use there would be deleted."""

    def refuse(error: OSError) -> None:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise StemmaError(
                f"{error.filename} cannot be read ({reason(error)}), so nobody knows what of the store is in "
                "use there; let it be read, or remove its link from roots/ of the store"
            )

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names if name.endswith(".json"))


def read_entry(store: Store, key: str, file: Path) -> Entry | None:
    """Read a record; None where it is gone or malformed: such a one cannot serve any job."""
    try:
        envelope = store.own_envelope(key)
        record = shaped(envelope) if envelope else None
        if envelope is None or record is None:
            return None
        stat = file.stat()
        return Entry(
            key,
            digest.of_bytes(envelope),
            record.rule,
            record.outputs[0].path,
            max(stat.st_mtime, timegm(time.strptime(record.finished, "%Y-%m-%dT%H:%M:%SZ"))),
            stat.st_ctime,
            tuple(made.sha256 for made in record.outputs),
            frozenset(objects_of(store, record)),
            tuple((item.record, item.sha256) for item in record.inputs),
        )
    except (FileNotFoundError, ValueError):  # ValueError: an impossible date
        return None


def sizes_of(store: Store) -> Iterator[tuple[str, Size]]:
    """Yield digest and size of every object; other files in the folders are not the store's."""
    for folder in (store.path / "objects").glob("[0-9a-f][0-9a-f]/"):
        with os.scandir(folder) as files:
            for file in files:
                sha256 = folder.name + file.name
                if not is_digest(sha256) or not file.is_file(follow_symlinks=False):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another gc has removed it
                    stat = file.stat(follow_symlinks=False)
                    yield sha256, Size(stat.st_size, stat.st_nlink > 1, stat.st_ctime)


def oldest_job(store: Store) -> float:
    """Return the time since which running jobs may have added objects; infinity where none runs. A workspace of another
    host counts as a running job: whether its process is alive cannot be known from here."""
    begun = [float("inf")]
    for folder in (store.path / "tmp").glob("*"):
        try:
            if not owner_is_dead(folder.name):
                begun.append(folder.stat().st_mtime)
        except FileNotFoundError:  # the job has just ended
            continue
    return min(begun) - GRAIN
