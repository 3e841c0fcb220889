"""Publishes a record with all objects that it names to the shared store.

Objects go first and the record last, so whoever finds the record there finds what it names. A trusted record that is
already there stays; one that could serve nobody is replaced.
"""

from collections.abc import Iterator
from pathlib import Path

from stemma.provenance.record import Record
from stemma.provenance.trust import Records
from stemma.store.artifact import is_directory, listed
from stemma.store.local import Store, object_name, record_name
from stemma.store.remote import Shared


def objects_of(store: Store, record: Record) -> Iterator[str]:
    """Yield the digests of all objects that a record names."""
    yield from outputs_of(store, record)
    yield from record.objects.values()


def outputs_of(store: Store, record: Record) -> Iterator[str]:
    """Yield the digests of what a job made: its outputs, and the files of those that are manifests."""
    for made in record.outputs:
        yield made.sha256
        if is_directory(Path(made.path)):
            yield from members_of(store, made.sha256)


def members_of(store: Store, manifest: str) -> list[str]:
    """Return the digests of the files that a manifest lists; none where it is missing or malformed."""
    try:
        return sorted(set(listed(store.object_path(manifest)).values()))
    except (FileNotFoundError, ValueError):
        return []


def write_back(records: Records, key: str, record: Record, ran: bool) -> None:
    """Publish a record unless the shared store has a trusted one of this action; never raises for the shared store.

    After a hit one small read is enough; a job that `ran` had a reason to, so then all objects there are checked.
    """
    store = records.store
    there = store.shared_envelope(key)
    if store.shared is None:
        return
    known = records.believed(there, key, f"{store.shared.place}/{record_name(key)}") if there else None
    if known and not ran:
        return
    store.through(lambda shared: publish_all(store, shared, key, record, known), None)


def publish_all(store: Store, shared: Shared, key: str, record: Record, known: Record | None) -> None:
    """Publish the objects that are missing or damaged there, then the record, unless the known one can serve."""
    for sha256 in dict.fromkeys(objects_of(store, record)):
        if store.holds(sha256) and not is_there(store, shared, sha256):
            shared.publish(object_name(sha256), store.object_path(sha256))
            store.unused.discard(object_name(sha256))
    if known is None or not all(is_there(store, shared, sha256) for sha256 in objects_of(store, known)):
        shared.publish(record_name(key), store.record_path(key))


def is_there(store: Store, shared: Shared, sha256: str) -> bool:
    """Does the shared store have the object, not known to be damaged?"""
    name = object_name(sha256)
    return name not in store.unused and shared.has(name)
