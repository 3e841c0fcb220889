"""What of a store is in use, what is not, and taking the latter out while jobs may run.

In use is what pointers name (every directory that builds with the store is registered in roots/), all that it was made
from by its records, and every object that such a record names. With a budget, records that are not in use stay too, the
latest used first, each with its ancestors, until their objects would exceed it. A record's last use is the time of its
file, which every hit renews, or the end of its job, whichever is later: a clock that was set back makes one go earlier
and does no other harm.

Three guards let it run beside jobs. What entered the store after the oldest job began is left alone: its record or its
pointer may yet come. What goes is first set aside, then roots and records are looked at again, and what came into use
in between is put back. And a job looks at the end whether all it needs is there (stemma/execute/run.py).
Never touches results/, nor the shared store: who else uses that cannot be known from here.
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
from stemma.base.errors import StemmaError
from stemma.base.files import owner_is_dead
from stemma.provenance.publish import outputs_of, surroundings_of
from stemma.provenance.record import external, inputs_of
from stemma.provenance.trust import shaped
from stemma.store import artifact
from stemma.store.local import Store
from stemma.store.manifest import is_digest

GRAIN = 2  # seconds: the coarsest time stamps of a file system


@dataclass(frozen=True)
class Entry:
    """A record as gc sees it. `parents`: (digest of the parent's envelope, digest of the artifact) of each input."""

    key: str
    sha256: str
    rule: str
    name: str
    used: float
    entered: float
    subjects: tuple[str, ...]
    objects: frozenset[str]
    parents: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Size:
    """An object on disk: its bytes, whether another name has them too, when it entered (its inode changed)."""

    bytes: int
    linked: bool
    entered: float


@dataclass
class Roots:
    """What directories use: action keys, and objects that pointers name themselves."""

    keys: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)


class Family:
    """Records and who descends from whom."""

    def __init__(self, entries: dict[str, Entry]):
        self.entries = entries
        self.envelopes = {entry.sha256: key for key, entry in entries.items()}
        self.makers: dict[str, list[str]] = {}
        for key, entry in entries.items():
            for sha256 in entry.subjects:
                self.makers.setdefault(sha256, []).append(key)

    def reach(self, keys: Iterable[str], known: frozenset[str] | set[str] = frozenset()) -> set[str]:
        """These records and their ancestors, without the known ones and theirs. A parent is found by the digest of its
        record; where that one was replaced, by that of the artifact."""
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
        """All objects that these records name."""
        return set().union(*(self.entries[key].objects for key in keys))


@dataclass
class Plan:
    """What is here, what is used, and what goes. `records`: of every record's file its bytes. `guarded`: objects that
    are left alone only because a running job may need them."""

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
        """Bytes of the objects among these that are here."""
        return sum(self.sizes[sha256].bytes for sha256 in objects if sha256 in self.sizes)

    @property
    def bytes_freed(self) -> int:
        """What the disk gets back: an object that is hard-linked elsewhere frees nothing."""
        return self.bytes_of(sha256 for sha256 in self.objects_going if not self.sizes[sha256].linked)


def plan(store: Store, budget: int | None = None) -> Plan:
    """Look at everything in the store and decide."""
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
    """Keep more records, the latest used first, until the next one with its ancestors would exceed the budget."""
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
    """Carry a plan out. Returns what really went: less than planned where something came into use meanwhile.

    Raises StemmaError where nothing at all is in use: that is rather a wrong directory than garbage.
    """
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
    """Undo the setting aside of what has come into use since the plan was made; the names of what is back."""
    roots = roots_of(store)
    keys = planned.family.reach(roots.keys, planned.kept) & set(planned.records_going)
    back = {key for key in keys if restore(aside / key, store.record_path(key))}
    for _ in range(2):  # a manifest has to be back before it can say what it lists
        wanted = set(roots.objects)
        for key in store.actions():
            entry = None if key in planned.kept else read_entry(store, key, store.record_path(key))
            wanted |= entry.objects if entry else set()
        back |= {s for s in wanted & set(planned.objects_going) if restore(aside / s, store.object_path(s))}
    return back


def set_aside(path: Path, target: Path) -> bool:
    """Take a file out of the store by rename; False where it is gone already."""
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
    """What the pointers of this directory and of every registered one name."""
    found = Roots()
    links = (store.path / "roots").glob("*")
    for folder in {os.path.realpath(artifact.POINTERS), *map(os.path.realpath, links)}:
        for file in pointers_below(folder):
            value = digest.read_json(file) or {}
            pointer = artifact.Pointer.of_json(value)
            if pointer:
                found.keys.add(pointer.action)
                found.objects.add(pointer.sha256)
            if is_digest(value.get("config")):  # of a pointer, and of the last build's settings
                found.objects.add(value["config"])
    return found


def pointers_below(folder: str) -> Iterator[Path]:
    """The pointers of a directory that builds with the store; none where it is gone. Raises StemmaError where they may
    not be read: what is in use there would go."""

    def refuse(error: OSError) -> None:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise StemmaError(
                f"{error.filename} cannot be read ({error.strerror.lower()}), so nobody knows what of the store is in "
                "use there; let it be read, or remove its link from roots/ of the store"
            )

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names if name.endswith(".json"))


def read_entry(store: Store, key: str, file: Path) -> Entry | None:
    """The record in a file; None where it is gone or not whole: nothing can be served by it."""
    try:
        envelope = store.own_envelope(key)
        record = shaped(envelope) if envelope else None
        if record is None:
            return None
        stat = file.stat()
        subjects = tuple(item["digest"]["sha256"] for item in record["subject"])
        finished = record["predicate"]["runDetails"]["metadata"]["finishedOn"]
        return Entry(
            key,
            digest.of_bytes(envelope),
            external(record)["rule"],
            record["subject"][0]["name"],
            max(stat.st_mtime, timegm(time.strptime(finished, "%Y-%m-%dT%H:%M:%SZ"))),
            stat.st_ctime,
            subjects,
            frozenset((*outputs_of(store, record), *surroundings_of(record))),
            tuple((item["annotations"].get("record"), item["digest"]["sha256"]) for item in inputs_of(record)),
        )
    except (FileNotFoundError, ValueError):  # ValueError: a day that no calendar has
        return None


def sizes_of(store: Store) -> Iterator[tuple[str, Size]]:
    """Digest and size of every object. What is not named like one, or is no file, is somebody else's."""
    for folder in (store.path / "objects").glob("[0-9a-f][0-9a-f]/"):
        with os.scandir(folder) as files:
            for file in files:
                sha256 = folder.name + file.name
                if not is_digest(sha256) or not file.is_file(follow_symlinks=False):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another gc took it
                    stat = file.stat(follow_symlinks=False)
                    yield sha256, Size(stat.st_size, stat.st_nlink > 1, stat.st_ctime)


def oldest_job(store: Store) -> float:
    """The moment from which on the running jobs may have put something in; infinity where none runs. What another host
    left counts as a job: whether that one is alive cannot be known from here."""
    begun = [float("inf")]
    for folder in (store.path / "tmp").glob("*"):
        try:
            if not owner_is_dead(folder.name):
                begun.append(folder.stat().st_mtime)
        except FileNotFoundError:  # it has just ended
            continue
    return min(begun) - GRAIN
