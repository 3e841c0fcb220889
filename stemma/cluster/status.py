"""Collects what goes on in a directory: each job of the last run, its state, node and times, and how long it may take.

The sources are the run's plan and its jobs' markers (stemma/cluster/markers.py), Slurm if jobs were submitted there,
and the times in earlier records. Nothing is started, stopped or changed, and Snakemake is not needed.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from stemma.base.digest import read_json
from stemma.base.errors import StemmaError
from stemma.base.log_tail import last_lines
from stemma.base.settings import Settings
from stemma.cluster.markers import MARKERS, SUFFIX, Marker, Process, marker_of, marker_path, read_run, users_here
from stemma.cluster.slurm import SlurmJob, Unanswered, is_of_array, is_of_group, jobs_of
from stemma.provenance.index import Index
from stemma.provenance.timing import Durations, time_left
from stemma.store.artifact import argument
from stemma.store.local import Store

ENDED = ("done", "failed", "lost", "stopped")


@dataclass
class Job:
    """One job. state: waiting, ready, queued (at Slurm), starting, running, done, failed, stopped, or lost: its process
    is gone without a word. `since`: seconds since 1970. `left`: seconds it may still take, None if never timed."""

    rule: str
    target: str
    state: str
    attempts: int
    attempt: int = 0
    node: str | None = None
    since: float | None = None
    slurm: str | None = None
    reason: str | None = None
    log: str | None = None
    last: list[str] = field(default_factory=list)
    left: float | None = None


@dataclass
class Run:
    """The last run of a directory. alive: whether its snakemake runs (None: on another machine, unknown). left: seconds
    to its end, not counting the `untimed` jobs, which no record tells of. notes: what could not be found out."""

    started: float
    host: str
    executor: str
    alive: bool | None
    jobs: list[Job]
    left: float | None = None
    untimed: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self) -> Counter:
        """Count the jobs by state."""
        return Counter(job.state for job in self.jobs)


def look(lines: int = 1) -> Run:
    """Return the last run in this directory. `lines`: how many of each running job's log. Raises StemmaError where
    there was none."""
    plan = read_run()
    if not plan:
        raise StemmaError(f"{Path.cwd()}: nothing was built here since this command exists; run snakemake here first")
    process = Process(**plan["process"])
    run = Run(plan["started"], process.host, plan["executor"], process.is_alive(), [])
    submitted = slurm_jobs(run) if plan["executor"] == "slurm" else None
    by_number = None if submitted is None else {job.number: job for job in submitted}
    living = {job.comment: job for job in submitted or [] if job.is_alive}
    markers = read_markers()
    planned = [job for job in plan["jobs"] if "/" in job["place"]]  # a rule without outputs only gathers others
    views = {job["place"]: view(job, markers, by_number, living, run) for job in planned}
    for job in planned:
        if views[job["place"]].state == "waiting" and all(
            views[other].state == "done" for other in job["needs"] if other in views
        ):
            views[job["place"]].state = "ready"
    run.jobs = list(views.values())
    predict(run, planned, views, plan)
    for job in run.jobs:
        if job.log and job.state in ("running", "failed", "lost"):
            job.last = last_lines(Path(job.log), lines)
    return run


def slurm_jobs(run: Run) -> list[SlurmJob] | None:
    """Return all jobs of this directory that Slurm remembers; None, and a note, where it does not answer."""
    try:
        return jobs_of(Path.cwd(), users_here(), ended=True)
    except Unanswered as reason:
        run.notes.append(f"Slurm does not answer ({reason})")
        return None


def read_markers() -> dict[str, Marker]:
    """Return all markers by their files' names."""
    found = {file.name: marker_of(read_json(file)) for file in MARKERS.glob(f"*{SUFFIX}")}
    return {name: marker for name, marker in found.items() if marker}


def view(
    planned: dict,
    markers: dict[str, Marker],
    by_number: dict[str, SlurmJob] | None,
    living: dict[str, SlurmJob],
    run: Run,
) -> Job:
    """Return one job's state from its marker or, until its runner has begun, from Slurm."""
    place = planned["place"]
    job = Job(planned["rule"], str(argument(Path(place))), "waiting", planned["attempts"])
    marker = markers.get(marker_path(place).name)
    at_slurm = at(planned, living)
    if marker is None:
        if not planned["marked"] and Path(place).exists() and Path(place).stat().st_mtime >= run.started:
            job.state = "done"
        elif at_slurm:
            job.state = "queued" if at_slurm.state == "PENDING" else "starting"
            job.slurm, job.node, job.reason = at_slurm.number, at_slurm.nodes or None, at_slurm.reason
        return job
    job.state, job.attempt, job.node, job.slurm = marker.state, marker.attempt, marker.node, marker.slurm
    job.since, job.reason, job.log = marker.ended or marker.started, marker.error, marker.log
    if marker.state == "running":
        lost = why_lost(marker, by_number)
        if lost:
            job.state, job.reason = "lost", lost
    if job.state in ENDED[1:] and run.alive and job.attempt < job.attempts:
        job.state = ("queued" if at_slurm.state == "PENDING" else "starting") if at_slurm else "waiting"
        job.reason = f"tried again: {job.reason}"
        job.slurm = at_slurm.number if at_slurm else None
    return job


def at(planned: dict, living: dict[str, SlurmJob]) -> SlurmJob | None:
    """Return the living Slurm job of a planned one, found by the comment of the job or of its group."""
    if planned["group"] is None:
        return living.get(planned["comment"]) or next(
            (job for job in living.values() if is_of_array(job, planned["rule"])), None
        )
    return next((job for job in living.values() if is_of_group(job, planned["group"])), None)


def why_lost(marker: Marker, by_number: dict[str, SlurmJob] | None) -> str | None:
    """Return what became of a runner that has not reported its end; None as long as it may be running.

    `by_number`: all that Slurm remembers; None where it was not asked or does not answer."""
    if marker.slurm and by_number is not None:
        at_slurm = by_number.get(marker.slurm)
        if at_slurm is None:
            return "Slurm no longer knows its job"
        return None if at_slurm.is_alive else f"Slurm: {at_slurm.state}"
    return "its process is gone" if marker.process.is_alive() is False else None


def predict(run: Run, planned: list[dict], views: dict[str, Job], plan: dict) -> None:
    """Set how long each job that has not ended, and the run, may still take."""
    durations, now = Durations(Index(Store.of(Settings.here()))), time.time()
    left: dict[str, float] = {}
    for job in planned:
        place, seen = job["place"], views[job["place"]]
        if seen.state in ENDED:
            continue
        seconds = durations.of(job["rule"], place) if job["marked"] else 0.0
        if seconds is None:
            run.untimed += 1
        else:
            begun = seen.since if seen.state == "running" and seen.since is not None else now
            seen.left = max(0.0, seconds - (now - begun))
        left[place] = seen.left or 0.0
    room = plan["cores"] if run.executor == "local" else plan["jobs_at_once"]
    run.left = time_left(
        left,
        {job["place"]: job["needs"] for job in planned},
        {job["place"]: job["threads"] for job in planned},
        {place for place, seen in views.items() if seen.state == "running"},
        max(1, min(room or len(planned), 1_000_000)),
    )
