"""What a job would give, told from pointers and records alone, before it runs.

A job whose artifacts stand as they should gives what their pointers say; one whose action the store has a record of
gives what the record says, and so on along the chain. Where a script would have to run, nothing is foreseen. Nothing is
hashed: the job itself verifies what it is served.
"""

from pathlib import Path

from stemma import artifact, numeric
from stemma.closure import closure_of
from stemma.keys import Keys, named, script_of
from stemma.record import Input, action_key, subjects_of
from stemma.store import Store


class Foresight:
    """Foresees for one workflow, from one store."""

    def __init__(self, keys: Keys, store: Store):
        self.keys = keys
        self.store = store

    def holds(self, rule, wildcards: dict[str, str]) -> bool:
        """Does the store hold what this job would give?"""
        return self.recorded(rule, wildcards) is not None

    def digest_of(self, path: str) -> str | None:
        """Digest of what will stand at a path; of a source, what it has now."""
        found = self.keys.producer(path)
        if found is None:
            return self.keys.of_path(path)
        rule, wildcards = found
        pointer = artifact.read_pointer(Path(path))
        if pointer and Path(path).exists() and pointer.expected == self.keys.expected(rule, wildcards):
            return pointer.sha256
        record = self.recorded(rule, wildcards)
        if record is None:
            return None
        outputs: dict[str, list[str]] = {}
        for name, output in named(rule.expand_output(wildcards)[0]):
            outputs.setdefault(name, []).append(output)
        for name, output in outputs.items():
            if path in output:
                return subjects_of(record)[name][output.index(path)]
        return None

    def recorded(self, rule, wildcards: dict[str, str]) -> dict | None:
        """The record of the job's action, if every input can be foreseen and the store has all its objects."""
        inputs = []
        for name, path in named(rule.expand_input(wildcards)[0]):
            sha256 = self.digest_of(path)
            if sha256 is None:
                return None
            inputs.append(Input(name, path, sha256, None))
        closure = closure_of(Path(script_of(rule)), self.keys.root)
        numeric_class = numeric.class_of(closure, self.keys.mode)
        record = self.store.read_record(action_key(closure, self.keys.params(rule, wildcards), inputs, numeric_class))
        subjects = [sha256 for found in subjects_of(record).values() for sha256 in found] if record else []
        return record if subjects and all(self.store.object_path(sha256).is_file() for sha256 in subjects) else None
