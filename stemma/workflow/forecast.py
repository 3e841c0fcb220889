"""Forecasts a run before its first job starts: how many jobs there are, which ones the store answers, what has changed,
how long it will take. It reads the DAG, pointers, records and their times, and changes nothing.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from stemma.cluster.markers import planned
from stemma.provenance.index import Index
from stemma.provenance.timing import Durations, time_left
from stemma.provenance.trust import Records
from stemma.store.artifact import argument, pointer_path
from stemma.workflow.cache_lookup import Foresight
from stemma.workflow.why import Change, Inquiry

HIT = 0.3  # seconds: about what it takes to link a hit from the store
LOOKED_INTO = 200  # stale jobs whose records are read to say what has changed, a millisecond each
# Changes that share a line, whatever they name.
ALIKE = ("never built", "missing", "record lost", "record of a key that is not trusted")
NEW, FORCED = Change("never built", ""), Change("forced", "by --forcerun or --force")


@dataclass
class Reason:
    """What one change makes stale, and which functions of a module it is in; each once, in order."""

    targets: dict[str, None] = field(default_factory=dict)
    details: dict[str, None] = field(default_factory=dict)


@dataclass
class Outlook:
    """A forecast. `jobs`: as in stemma/cluster/markers.py, by place. `hits`: those that the store answers. `left`:
    seconds that each job takes, without those never timed. `room`: slots for jobs. `reasons`: what has changed;
    `unread`: number of jobs whose records were not read for that."""

    jobs: dict[str, dict]
    hits: set[str]
    left: dict[str, float]
    room: int
    reasons: dict[str, Reason] = field(default_factory=dict)
    unread: int = 0

    @property
    def untimed(self) -> int:
        """The number of jobs whose time no record tells."""
        return sum(job["marked"] and place not in self.left for place, job in self.jobs.items())

    def seconds(self, running: dict[str, float], done: set[str]) -> float:
        """Return the seconds until all has ended. `running`: seconds that running jobs have taken so far, by place."""
        left = {place: self.left.get(place, 0.0) for place in self.jobs if place not in done}
        for place in running.keys() & left.keys():
            left[place] = max(0.0, left[place] - running[place])
        needs = {place: job["needs"] for place, job in self.jobs.items()}
        slots = {place: job["threads"] for place, job in self.jobs.items()}
        return time_left(left, needs, slots, set(running), self.room)

    def by_rule(self) -> list[tuple[str, int, int, float | None]]:
        """Return (rule, jobs, hits among them, seconds of work), in the order of each rule's first job."""
        counts = Counter(job["rule"] for job in self.jobs.values())
        hits = Counter(self.jobs[place]["rule"] for place in self.hits)
        seconds: dict[str, float] = {}
        for place, value in self.left.items():
            rule = self.jobs[place]["rule"]
            seconds[rule] = seconds.get(rule, 0.0) + value
        return [(rule, count, hits[rule], seconds.get(rule)) for rule, count in counts.items()]


def look_ahead(workflow, with_reasons: bool = True) -> Outlook:
    """Forecast the run of a complete DAG."""
    attached = workflow.attached
    records, keys = Records.of(attached.settings), attached.keys
    jobs = {job["place"]: job for job in planned(workflow) if "/" in job["place"]}
    wanted = {place: keys.plan.maker(place) for place, job in jobs.items() if job["marked"]}
    foresight = Foresight(keys, records, known={})
    hits = {place for place, job in wanted.items() if foresight.holds(job)}
    durations = Durations(Index(records.store))
    timed = {place: HIT if place in hits else durations.of(job.rule, place) for place, job in wanted.items()}
    room = workflow.resource_settings.cores if workflow.local_exec or workflow.dryrun else workflow.nodes
    found = Outlook(
        jobs, hits, {place: seconds for place, seconds in timed.items() if seconds is not None},
        max(1, min(room or len(jobs), 1_000_000)),
    )  # fmt: skip
    if with_reasons:
        add_reasons(found, wanted, workflow)
    return found


def add_reasons(found: Outlook, wanted: dict, workflow) -> None:
    """Add to each stale job what of its own has changed, first to those that wait for no other stale one."""
    attached = workflow.attached
    inquiry = Inquiry(attached.keys, Records.of(attached.settings), attached.values)
    forced = {
        str(job.output[0]) for job in workflow.dag.needrun_jobs() if workflow.dag.reason(job).forced and job.output
    }
    waits_for = {place: [other for other in found.jobs[place]["needs"] if other in wanted] for place in wanted}
    ordered = sorted(wanted, key=lambda place: bool(waits_for[place]))
    looked = 0
    for place in ordered:
        known = pointer_path(Path(place)).is_file()
        looked += known
        if looked > LOOKED_INTO:
            found.unread += known
            continue
        stale = inquiry.judge(wanted[place], waits_for[place]) if known else None
        changes = stale.changes if stale else [FORCED] * (place in forced) if known else [NEW]
        for reason, detail in map(told, changes):
            reasons = found.reasons.setdefault(reason, Reason())
            reasons.targets[str(argument(Path(place)))] = None
            if detail:
                reasons.details[detail] = None


def told(change: Change) -> tuple[str, str | None]:
    """Return a change in a few words, and the function of a module if several functions share a line."""
    if change.what in ALIKE:
        return change.what, None
    if change.what == "code":
        module, _, function = change.name.partition(": ")
        return f"code {module}", function or None
    return str(change), None
