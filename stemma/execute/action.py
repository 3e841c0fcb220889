"""An action: a job with everything that its key is made of, and its lookup in the store.

This module decides which record is served. Running the script and filling results/ is stemma/execute/run.py.
"""

import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from stemma.base import digest
from stemma.base.digest import JSON_BYTES
from stemma.base.files import is_plain
from stemma.code.closure import Closure
from stemma.planning.job_hash import key_of
from stemma.provenance.describe import described, environment_lock
from stemma.provenance.dsse import seal
from stemma.provenance.publish import outputs_of
from stemma.provenance.record import Input, Job, Outcome, Record
from stemma.provenance.slsa import statement_of
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.local import Store


@dataclass(frozen=True)
class Action:
    """A job with everything that its key is made of, and the records that may answer it."""

    job: Job
    records: Records
    root: Path
    closure: Closure
    inputs: list[Input]
    numeric_class: str

    @property
    def store(self) -> Store:
        """The store that keeps its result."""
        return self.records.store

    @cached_property
    def key(self) -> str:
        """The action key, under which the store is asked for a record."""
        job = self.job
        inputs = [(item.argument, item.path, item.sha256) for item in self.inputs]
        outputs = [(name, path) for name, paths in job.outputs.items() for path in paths]
        return key_of(self.closure, job.params, inputs, outputs, job.threads, job.shell, self.numeric_class)

    def keep(self, outputs: dict[str, list[str]], outcome: Outcome) -> Record:
        """Write and return the record of outputs that are in the store. If the same outputs were recorded before and
        their bytes lost since, the first record stays: the records of its descendants name it by its digest."""
        known = self.known(outputs)
        if known:
            return known
        record = described(
            self.job,
            self.closure,
            self.key,
            self.numeric_class,
            self.inputs,
            outputs,
            outcome,
            self.surroundings(),
            self.root,
        )
        envelope = self.sealed(record)
        if not self.store.write_first_record(self.key, envelope):
            known = self.served()  # a job that ran at the same time was faster: use its result
            if known:
                return known
            self.store.write_record(self.key, envelope)
        return record

    def surroundings(self) -> dict[str, str]:
        """Store the descriptions of what the job runs in; return name -> digest."""
        return {
            "environment": self.store.add_bytes(digest.canonical(environment_lock())),
            "closure": self.store.add_bytes(self.closure.description),
        }

    def served(self) -> Record | None:
        """Return a trusted record whose outputs can all be served, after adopting it; None if there is none."""
        for envelope, record in self.records.of_action(self.key):
            if all_restorable(self.store, self.job, record):
                return self.adopt(envelope, record)
        return None

    def known(self, outputs: dict[str, list[str]]) -> Record | None:
        """Return a trusted record that states these outputs, after adopting it; None if there is none."""
        for envelope, record in self.records.of_action(self.key):
            if record.digests == outputs:
                return self.adopt(envelope, record)
        return None

    def adopt(self, envelope: bytes, record: Record) -> Record:
        """Write a record, wherever it comes from, to the own store with what it names; return it."""
        if not all(self.store.is_sound(sha256, JSON_BYTES) for sha256 in record.objects.values()):
            self.surroundings()  # mostly unchanged, so this repairs what was damaged
        linked = self.relinked(record)
        if linked != record:
            envelope = self.sealed(linked)
        self.store.write_record(self.key, envelope)
        return linked

    def relinked(self, record: Record) -> Record:
        """Return a record in which lost records of its inputs are replaced by those that the inputs have now. A damaged
        record was replaced by that of a second run, which gave equal bytes, or this would be no hit."""
        now = {item.sha256: item.record for item in self.inputs if item.record}
        inputs = tuple(
            replace(item, record=now[item.sha256]) if item.sha256 in now and self.has_lost(item.record, now) else item
            for item in record.inputs
        )
        return replace(record, inputs=inputs)

    def sealed(self, record: Record) -> bytes:
        """Return the signed envelope of a record."""
        return seal(digest.canonical(statement_of(record)), self.records.keyring)

    def has_lost(self, link: str | None, now: dict[str, str]) -> bool:
        """Is the record with this digest lost? Where there is a shared store others may have it."""
        if link is None or link in now.values() or self.store.shared is not None:
            return False
        return not self.store.has_envelope(link)


def stored_record(action: Action) -> Record | None:
    """Return the record of this action if the store can serve all its outputs; None where the script has to run."""
    record = action.served()
    if record is None and is_pinned_and_stored(action.store, action.job):
        return record_pinned(action)
    return record


def all_restorable(store: Store, job: Job, record: Record) -> bool:
    """Can every output of the job be served from the store?"""
    made = record.digests
    if {name: len(paths) for name, paths in job.outputs.items()} != {n: len(d) for n, d in made.items()}:
        return False
    try:
        return all(
            artifact.restorable(store, Path(path), sha256)
            for name, paths in job.outputs.items()
            for path, sha256 in zip(paths, made[name], strict=True)
        )
    except FileNotFoundError:  # gc removed a manifest before it could be read
        return False


def is_pinned_and_stored(store: Store, job: Job) -> bool:
    """Is the job's one file pinned by its `sha256` param, and in the store? Then it need not be fetched again, however
    the code that would fetch it has changed."""
    paths = [Path(path) for paths in job.outputs.values() for path in paths]
    pin = job.params.get("sha256")
    if not pin or len(paths) != 1:
        return False
    return not artifact.is_directory(paths[0]) and store.is_sound(pin)


def record_pinned(action: Action) -> Record:
    """Write and return the record of a pinned file that the store holds already."""
    now = utc_now()
    outputs = {name: [action.job.params["sha256"]] for name in action.job.outputs}
    return action.keep(outputs, Outcome(now, now, 0.0, 0.0, 0, {"from": "the store, by its sha256"}))


def is_whole(action: Action, record: Record) -> bool:
    """Are the record and all that the job made (still) in the store? Bytes are not checked."""
    paths = [action.store.record_path(action.key), *map(action.store.object_path, outputs_of(action.store, record))]
    return all(map(is_plain, paths))


def utc_now() -> str:
    """Return the time as RFC 3339, in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
