"""What a job would give, told from pointers and records alone, before it runs.

A job whose artifacts stand as they should gives what their pointers say; one whose action the store has a record of
gives what the record says, and so on along the chain. Where a script would have to run, nothing is foreseen. Nothing is
hashed: the job itself verifies what it is served.
"""

from pathlib import Path

from stemma.code import numeric
from stemma.planning.expected_keys import Keys
from stemma.planning.job_hash import key_of
from stemma.planning.planned_jobs import Wanted
from stemma.provenance.record import subjects_of
from stemma.provenance.trust import Records
from stemma.store import artifact


class Foresight:
    """Foresees for one workflow, from the records that count. `known`: a dict, where all is asked about one moment; it
    fills with what was found of each job."""

    def __init__(self, keys: Keys, records: Records, known: dict[str, dict | None] | None = None):
        self.keys = keys
        self.records = records
        self.known = known

    def holds(self, job: Wanted) -> bool:
        """Does the store hold what this job would give?"""
        return self.recorded(job) is not None

    def digest_of(self, path: str) -> str | None:
        """Digest of what will stand at a path; of a source, what it has now."""
        job = self.keys.plan.maker(path)
        if job is None:
            return self.keys.of_path(path)
        pointer = artifact.read_pointer(Path(path))
        wanted = pointer and pointer.expected == self.keys.expected(job)
        if wanted and Path(path).exists() and self.records.store.has_record(pointer.action):
            return pointer.sha256
        record = self.recorded(job)
        if record is None:
            return None
        outputs: dict[str, list[str]] = {}
        for name, output in job.outputs:
            outputs.setdefault(name, []).append(output)
        for name, output in outputs.items():
            if path in output:
                return subjects_of(record)[name][output.index(path)]
        return None

    def recorded(self, job: Wanted) -> dict | None:
        """The record of the job's action, if every input can be foreseen and the store has all its objects."""
        if self.known is None:
            return self.found(job)
        if job.place not in self.known:
            self.known[job.place] = self.found(job)
        return self.known[job.place]

    def found(self, job: Wanted) -> dict | None:
        """The same, looked for."""
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
        subjects = [sha256 for found in subjects_of(record).values() for sha256 in found] if record else []
        return record if subjects and all(map(self.records.store.has, subjects)) else None
