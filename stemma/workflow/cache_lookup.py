"""Predicts what a job would give, from pointers and records alone, before it runs.

A job whose artifacts stand as they should gives what their pointers say; one whose action the store has a record of
gives what the record says, and so on along the chain. Where a script would have to run, nothing is predicted. Nothing
is hashed: the job itself verifies what it is served.
"""

from pathlib import Path

from stemma.code import numeric
from stemma.planning.expected_keys import Keys
from stemma.planning.job_hash import key_of
from stemma.planning.planned_jobs import Wanted
from stemma.provenance.record import Record
from stemma.provenance.trust import Records
from stemma.store import artifact


class Foresight:
    """Cache lookups for one workflow, from trusted records. `known`: first output -> record, a memo that is filled
    here; None where results may change between two questions."""

    def __init__(self, keys: Keys, records: Records, known: dict[str, Record | None] | None = None):
        self.keys = keys
        self.records = records
        self.known = known

    def holds(self, job: Wanted) -> bool:
        """Does the store hold the result of this job?"""
        return self.recorded(job) is not None

    def digest_of(self, path: str) -> str | None:
        """Return the digest of what will stand at a path (for a source: its present digest); None if it is
        unpredictable."""
        job = self.keys.plan.maker(path)
        if job is None:
            return self.keys.of_path(path)
        pointer = artifact.read_pointer(Path(path))
        fits = pointer and pointer.expected == self.keys.expected(job) and Path(path).exists()
        if pointer and fits and self.records.counts(pointer):
            return pointer.sha256
        record = self.recorded(job)
        if record is None:
            return None
        outputs: dict[str, list[str]] = {}
        for name, output in job.outputs:
            outputs.setdefault(name, []).append(output)
        for name, paths in outputs.items():
            if path in paths:
                return record.digests[name][paths.index(path)]
        return None

    def recorded(self, job: Wanted) -> Record | None:
        """Return the record of the job's action if every input can be predicted and the store has all outputs; else
        None."""
        if self.known is None:
            return self.found(job)
        if job.place not in self.known:
            self.known[job.place] = self.found(job)
        return self.known[job.place]

    def found(self, job: Wanted) -> Record | None:
        """Look a job's record up without the memo."""
        inputs = []
        for name, path in self.keys.in_order(job):
            sha256 = self.digest_of(path)
            if sha256 is None:
                return None
            inputs.append((name, path, sha256))
        closure = self.keys.closure(job)
        numeric_class = numeric.class_of(closure, self.keys.mode)
        record = self.records.read(
            key_of(closure, job.params, inputs, job.outputs, job.threads, job.shell, numeric_class)
        )
        if record is None or not all(self.records.store.has(made.sha256) for made in record.outputs):
            return None
        return record
