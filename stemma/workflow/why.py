"""Explains why a target is stale: the chain of jobs that would run, and for each the field that changed, old and new.

It compares what the workflow wants now with what pointers and records say was built; nothing is executed. It cannot
tell whether a rebuilt artifact will have equal bytes, after which all that follow are hits.
"""

import json
import os
import statistics
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.base.typed_json import made
from stemma.base.wording import in_brief
from stemma.code import numeric
from stemma.code.closure import Closure, Description
from stemma.planning.call import Call
from stemma.planning.expected_keys import Keys
from stemma.planning.planned_jobs import Plan, Wanted, kept_plan
from stemma.provenance.describe import public
from stemma.provenance.index import Index
from stemma.provenance.record import Record
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.artifact import Mark, Pointer
from stemma.store.stamps import Stamps


def ask(call: Call, target: str) -> "list[Stale]":
    """Return the stale jobs that a target needs: by the last build's plan if that is valid, else by the workflow
    itself."""
    plan, settings = kept_plan(call), Settings.here()
    records, root = Records.of(settings), Path(call.snakefile).resolve().parent
    config = records.store.read_json(settings.config) if plan else None
    if plan and config is not None and (job := job_at(plan, target)):
        return Inquiry(Keys(plan, root, settings.numeric), records, config).chain(job)
    from stemma.workflow.load import load  # Snakemake takes a second to load

    attached = load(call)
    try:
        job = attached.job_of(target)
        return Inquiry(attached.keys, Records.of(attached.settings), json.loads(attached.config)).chain(job)
    except Exception as error:
        if type(error).__module__ == "builtins":  # a defect
            raise
        raise StemmaError(str(error)) from None  # a rule's function refuses the config, in the workflow's own words


def job_at(plan: Plan, target: str) -> Wanted | None:
    """Return the job that makes a path, or the manifest of a directory."""
    target = os.path.normpath(target)
    return plan.maker(target) or plan.maker(f"{target}/{artifact.MANIFEST}")


@dataclass
class Change:
    """A field that differs: `what` it is (config, param, code, package, source, input ...), its name, old and new."""

    what: str
    name: str
    old: object = None
    new: object = None

    def __str__(self) -> str:
        """Format the change: config process.thresholds.words.min: 50 -> 80"""
        if self.old is None and self.new is None:
            return f"{self.what}: {self.name}"
        return f"{self.what} {self.name}: {in_brief(self.old)} -> {in_brief(self.new)}"


@dataclass
class Stale:
    """A job that would run: its target, its own changes, the stale targets it waits for, and the seconds that it took
    before or, if `estimated`, that other jobs of its rule took."""

    target: str
    rule: str
    changes: list[Change] = field(default_factory=list)
    waits_for: list[str] = field(default_factory=list)
    seconds: float | None = None
    estimated: bool = False


class Inquiry:
    """Answers for one workflow, from trusted records and the config that the workflow has now."""

    def __init__(self, keys: Keys, records: Records, config: dict):
        self.keys = keys
        self.records = records
        self.store = records.store
        self.config = config
        self.plan = keys.plan
        self.stale: dict[str, Stale | None] = {}
        self.stamps = Stamps()

    def chain(self, job: Wanted) -> list[Stale]:
        """Return the stale jobs among a job and its ancestors, ancestors first."""
        self.visit(job)
        return [stale for stale in self.stale.values() if stale]

    def visit(self, job: Wanted) -> Stale | None:
        """Judge a job after its parents."""
        if job.place in self.stale:
            return self.stale[job.place]
        waits_for = []
        for _, path in job.inputs:
            maker = self.plan.maker(path)
            parent = self.visit(maker) if maker else None
            if parent and parent.target not in waits_for:
                waits_for.append(parent.target)
        self.stale[job.place] = self.judge(job, waits_for)
        return self.stale[job.place]

    def judge(self, job: Wanted, waits_for: list[str]) -> Stale | None:
        """Return the job as stale, with what changed; None where all outputs stand as they should."""
        outputs = [Path(path) for _, path in job.outputs]
        target = str(artifact.argument(outputs[0]))
        expected = self.keys.expected(job)
        if not job.script:  # a view has no record: it follows its inputs
            marks = [artifact.read_mark(path) for path in outputs]
            damage = self.damage(outputs, marks)
            if not damage and not waits_for and any(mark and mark.expected != expected for mark in marks):
                damage = [Change("view", "was written for other inputs")]
            return Stale(target, job.rule, damage, waits_for) if damage or waits_for else None
        pointers = [artifact.read_pointer(path) for path in outputs]
        damage = self.damage(outputs, pointers)
        lost = not all(pointer is None or self.records.counts(pointer) for pointer in pointers)
        if not damage and not lost and all(pointer and pointer.expected == expected for pointer in pointers):
            return None
        stale = Stale(target, job.rule, waits_for=waits_for)
        pointer = next(filter(None, pointers), None)
        record = self.records.read(pointer.action) if pointer else None
        if pointer is None or record is None:
            what = "never built" if pointer is None else "record lost"
            if pointer and self.store.has_record(pointer.action):
                what = "record of a key that is not trusted"
            stale.changes = [Change(what, target)]
            stale.seconds, stale.estimated = self.usual(job.rule), True
            return stale
        stale.seconds = record.usage["seconds"]
        stale.changes = self.changes(job, record, self.config_of(pointer))
        stale.changes += damage
        if not stale.changes and not waits_for:
            stale.changes = [Change("engine", "another version of it put this here, under a key made in another way")]
        return stale

    def damage(self, outputs: list[Path], said: list[Pointer | None] | list[Mark | None]) -> list[Change]:
        """Return the outputs that do not stand as they were put there."""
        faults = [
            self.stamps.fault(path, known.files) if known else f"{path} was not built"
            for path, known in zip(outputs, said, strict=True)
        ]
        return [Change("damage", fault) for fault in faults if fault]

    def usual(self, rule: str) -> float | None:
        """Return the median of the seconds that the rule's jobs took; None where none is recorded."""
        durations = self.index.durations(rule)
        return statistics.median(durations) if durations else None

    @cached_property
    def index(self) -> Index:
        """The index of all records of the store."""
        return Index(self.store)

    def changes(self, job: Wanted, record: Record, config: dict) -> list[Change]:
        """Return what differs between the job as it is wanted and the record of what was built."""
        closure = self.keys.closure(job)
        params = differing(record.params, public(job.params))
        changed = differing(config, self.config)
        found = [named_in_config(change, changed) for change in params]
        if record.closure != closure.key:
            found += code_changes(self.description(record), closure.described)
        found += mode_changes(record, closure, self.keys.mode)
        found += call_changes(job, record)
        old = {item.path: item.sha256 for item in record.inputs}
        new = [path for _, path in job.inputs]
        found += [Change("input", name, "was one", "is none") for name in old if name not in new]
        for path in new:
            if path not in old:
                found.append(Change("input", path, "was none", "is one"))
            elif not self.plan.maker(path) and self.keys.of_path(path) != old[path]:
                found.append(Change("source", path, old[path], self.keys.of_path(path)))
        return found

    def description(self, record: Record) -> Description | None:
        """Return the closure that a record was made with, function by function; None where the store has lost it."""
        sha256 = record.objects.get("closure")
        return made(Description, self.store.read_json(sha256)) if sha256 else None

    def config_of(self, pointer: artifact.Pointer) -> dict:
        """Return the config under which an artifact was put in its place; empty where the store has lost it."""
        return self.store.read_json(pointer.config) or {}


def differing(old: object, new: object, name: str = "") -> list[Change]:
    """Return the leaves in which two JSON values differ, by dotted name; lists are leaves."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*old, *(key for key in new if key not in old)]:
            found += differing(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        return found
    return [] if digest.canonical(old) == digest.canonical(new) else [Change("param", name, old, new)]


def named_in_config(change: Change, config: list[Change]) -> Change:
    """Rename a changed param to the config key that changed in the same way, if there is one."""
    for candidate in config:
        same = (candidate.old, candidate.new) == (change.old, change.new)
        if same and candidate.name.split(".")[-1] == change.name.split(".")[-1]:
            return Change("config", candidate.name, change.old, change.new)
    return change


def code_changes(old: Description | None, new: Description) -> list[Change]:
    """Return the functions, data files and package versions that differ between two descriptions of a closure."""
    if old is None:
        return [Change("code", "changed; the store has no description of the old one any more")]
    found = []
    for module in sorted({*old.parts, *new.parts}):
        before, after = old.parts.get(module), new.parts.get(module)
        if before is None or after is None:
            found.append(Change("code", module, before and "in the closure", after and "in the closure"))
            continue
        for change in differing({"": before}, {"": after}):
            found.append(Change("code", f"{module}: {change.name.removeprefix('.')}", change.old, change.new))
    sections = [("data file", old.data_files, new.data_files), ("package", old.distributions, new.distributions)]
    for what, before, after in sections:
        found += [Change(what, change.name, change.old, change.new) for change in differing(before, after)]
    found += [Change("package", "python", c.old, c.new) for c in differing(old.python, new.python)]
    return found


def mode_changes(record: Record, closure: Closure, mode: str) -> list[Change]:
    """Return the change of the numeric mode, if it differs."""
    old = record.numeric.partition(" ")[0]
    new = numeric.mode_of(closure, mode)
    return [] if old == new else [Change("config", "numeric", old, new)]


def call_changes(job: Wanted, record: Record) -> list[Change]:
    """Return changes in how the script is called: its rule's threads, the rest of its shell line."""
    same = record.threads == job.threads
    found = [] if same else [Change("threads", f"of {job.rule}", record.threads, job.threads)]
    shell = record.shell or ""
    return found if shell == public(job.shell) else [*found, Change("shell line", f"of {job.rule}", shell, job.shell)]
