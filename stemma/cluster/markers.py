"""Markers: small files that say what each job of the present run is doing, for stemma/cluster/status.py and
stemma/cluster/job_log.py.

results/.records/run.json says what the main snakemake set out to do; results/.records/.jobs/ holds one small file a
job, which its runner writes at its start and at its end. No key, record or result depends on them, nothing is fsynced,
and where they cannot be written the job goes on without. A run deletes those of the last. They never contain params,
environment variables or command lines.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from stemma.base.digest import read_json
from stemma.base.errors import Outdated, StemmaError, refusal
from stemma.base.files import beside
from stemma.base.process import born, space
from stemma.base.typed_json import made
from stemma.cluster.slurm import comment_of

RUN, MARKERS = Path("results/.records/run.json"), Path("results/.records/.jobs")  # no artifact's name begins with a dot
SUFFIX = ".job"  # pointers end in .json, so no search for them reads these


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one with the same id: `space` names boot and PID namespace, `born` its
    start."""

    host: str
    pid: int
    space: str
    born: str

    @staticmethod
    def this() -> "Process":
        """Return the process that calls this."""
        return Process(socket.gethostname(), os.getpid(), space(), born(os.getpid()) or "")

    def is_alive(self) -> bool | None:
        """Does it run? None: it belongs to another machine or container, so it cannot be known here."""
        if (self.host, self.space) != (socket.gethostname(), space()):
            return None
        now = born(self.pid)
        return now is not None and now == self.born


@dataclass
class Marker:
    """One job's marker. `state`: running, done, failed or stopped; `how`: hit or run; `more`: number of outputs beside
    the target; `is_final`: another attempt cannot help; times are seconds since 1970."""

    rule: str
    target: str
    expected: str
    log: str
    node: str
    process: Process
    slurm: str | None
    attempt: int
    started: float
    state: str = "running"
    stage: str = ""
    more: int = 0
    how: str | None = None
    error: str | None = None
    is_final: bool = False
    ended: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took, in seconds; None while it runs."""
        return None if self.ended is None else self.ended - self.started

    def write(self, place: str) -> None:
        """Write the marker of the job whose first output is `place`."""
        write(marker_path(place), asdict(self))


@dataclass(frozen=True)
class PlannedJob:
    """A job that a run set out to do. `place`: its first output; `here`: it runs on this machine; `needs`: the places
    of the jobs that it needs."""

    rule: str
    place: str
    comment: str
    group: str | None
    threads: int
    attempts: int
    marked: bool
    here: bool
    needs: list[str]


@dataclass(frozen=True)
class PlannedRun:
    """What a snakemake set out to do."""

    started: float
    process: Process
    directory: str
    executor: str
    cores: int | None
    jobs_at_once: int | None
    jobs: list[PlannedJob]


def read_run() -> dict | None:
    """Read what the last snakemake here set out to do, with the fields of PlannedRun; None where there is no such
    file."""
    value = read_json(RUN)
    return value if made(PlannedRun, value) else None


@contextlib.contextmanager
def marked(rule: str, place: str, target: str, expected: str, log: Path, stage: str, more: int = 0) -> Iterator[Marker]:
    """Keep a job's marker up to date while the body does the job. `place`: its first output. The body sets `how`."""
    before = read_marker(place)
    marker = Marker(
        rule,
        target,
        expected,
        str(log),
        os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        Process.this(),
        slurm_number(),
        before.attempt + 1 if before else 1,
        time.time(),
        stage=stage,
        more=more,
    )
    marker.write(place)
    marker.state = "failed"
    try:
        yield marker
        marker.state = "done"
    except StemmaError as error:
        marker.error, marker.is_final = str(error), isinstance(error, Outdated)
        raise
    except OSError as error:
        marker.error = refusal(error) or repr(error)
        raise
    except (SystemExit, KeyboardInterrupt):
        marker.state, marker.error = "stopped", "it was told to stop"
        raise
    except Exception as error:
        marker.error = repr(error)
        raise
    finally:
        marker.ended = time.time()
        marker.write(place)


def slurm_number() -> str | None:
    """Return Slurm's number of the job that this process is in, 12_3 in an array; None outside Slurm."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def users_here() -> set[str]:
    """Return the numeric ids of the users whose jobs may run in this directory: who began its last run, and this
    one."""
    owners = {os.getuid()}
    with contextlib.suppress(FileNotFoundError):
        owners.add(RUN.stat().st_uid)
    return set(map(str, owners))


def read_marker(place: str) -> Marker | None:
    """Read the marker of the job whose first output is `place`; None if it has not begun in this run."""
    return marker_of(read_json(marker_path(place)))


def marker_of(value: dict | None) -> Marker | None:
    """Make a marker of its JSON; None for anything else."""
    return made(Marker, value)


def marker_path(place: str) -> Path:
    """Return a marker's path: one flat directory has a file for each job, named by a hash of its first output."""
    return MARKERS / (hashlib.sha256(place.encode()).hexdigest()[:32] + SUFFIX)


def begin_run(workflow) -> None:
    """Write what this snakemake is going to do, and delete the markers of the one before."""
    executor = workflow.executor_plugin.name
    if executor == "touch":
        return
    settings = workflow.resource_settings
    run = {
        "started": time.time(),
        "process": asdict(Process.this()),
        "directory": str(Path.cwd()),
        "executor": executor,
        "cores": settings.cores if executor == "local" else settings.local_cores,
        "jobs_at_once": settings.nodes,
        "jobs": planned(workflow),
    }
    shutil.rmtree(MARKERS, ignore_errors=True)
    write(RUN, run)


def planned(workflow) -> list[dict]:
    """Return the jobs to be done, in topological order. A job without outputs has its rule's name for a place, any
    other the path of its first output."""
    local = workflow.local_exec or workflow.dryrun
    dag = workflow.dag
    jobs = [job for level in dag.toposorted(set(dag.needrun_jobs())) for job in sorted(level, key=str)]
    places = {job: str(job.output[0]) if job.output else job.rule.name for job in jobs}
    return [
        {
            "rule": job.rule.name,
            "place": places[job],
            "comment": comment_of(job.rule.name, list(job.wildcards)),
            "group": job.group,
            "threads": job.threads if local else 1,
            "attempts": (job.restart_times or 0) + 1,
            "marked": "python -m stemma run " in (job.rule.shellcmd or ""),
            "here": local or job.rule.name in workflow._localrules,
            "needs": sorted(places[other] for other in dag.dependencies[job] if other in places),
        }
        for job in jobs
    ]


def write(path: Path, value: dict) -> None:
    """Write a file by atomic rename, without fsync; a file system that refuses is ignored."""
    temporary = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value))
        temporary.replace(path)
    except OSError:  # the job itself fails if that matters
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
