"""Starts a job that trains, on all its ranks, and runs one rank of it: what the scripts of two stages share."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import torch

from llm.command import Surroundings
from llm.errors import Stopped
from llm.runtime.agreement import Ranks
from llm.runtime.determinism import set_determinism
from llm.runtime.launch import run_ranks
from llm.runtime.malloc import keep_freed_memory
from llm.runtime.stopping import Stopping, deadline
from llm.training.engine import Engine
from llm.training.mfu import matmul_peak
from llm.training.objective import DTYPES
from llm.training.prefetch import Stream
from llm.training.recovery import Recovery
from llm.training.segment import Segment, Task
from llm.training.settings import Steps
from llm.training.telemetry import Telemetry, Work

S = TypeVar("S", bound=Steps)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Job(Generic[S]):
    """What every rank is given, which may be another process: it pickles. output: the directory to fill. scratch:
    recovery points and the lease. logs: live telemetry, or None. deadline: when to have stopped, in seconds since the
    epoch. hang_seconds: 0 for no watchdog."""

    task: Task[S]
    output: Path
    scratch: Path
    logs: Path | None
    deadline: float
    hang_seconds: float

    @property
    def settings(self) -> S:
        """The slice of the config."""
        return self.task.settings

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrix products."""
        return DTYPES[self.settings.dtype]

    @property
    def identity(self) -> str:
        """The digest of all that the steps depend on except files; a recovery point must have the same."""
        return hashlib.sha256(repr(replace(self.task, previous=None)).encode()).hexdigest()


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Trained:
    """A rank's segment that has taken its last step. seconds: what the steps took."""

    segment: Segment
    telemetry: Telemetry
    ranks: Ranks
    seconds: float

    def summary(self) -> dict:
        """Return figures of the steps for the job's record."""
        segment = self.segment
        return {
            "tokens_seen": segment.tokens_seen,
            "skipped_steps": len(segment.skipped),
            "rollbacks": segment.guard.rollbacks,
            "seconds": round(self.seconds, 1),
        } | self.telemetry.summary()


def run_job(kind: Callable[..., J], work: Callable[[J], dict], surroundings: Surroundings, **of_job: object) -> dict:
    """Run `work(job)` on every rank; return rank 0's metrics. kind: of the job. of_job: its fields beside those that
    the surroundings give. Raises Stopped where it was told to stop."""
    if surroundings.logs is not None:
        surroundings.logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        job = kind(
            scratch=surroundings.scratch or Path(temporary),
            logs=surroundings.logs,
            deadline=deadline(surroundings.time_limit),
            hang_seconds=surroundings.hang_seconds or 0,
            **of_job,
        )
        metrics = run_ranks(
            job.settings.parallel.world_size, rank_of, work, job, nodes=surroundings.nodes, shared=surroundings.scratch
        )
    if "stopped" in metrics:
        raise Stopped(metrics["stopped"])
    return metrics


def rank_of(work: Callable[[J], dict], job: J) -> dict:
    """Run one rank's work. Returns its metrics, or {"stopped": line} where it was told to stop."""
    keep_freed_memory()
    set_determinism(True)
    try:
        return work(job)
    except Stopped as stopped:
        return {"stopped": str(stopped)}


@contextmanager
def trained(job: Job, build: Callable[[], Engine], stream: Stream, flops_per_token: int) -> Iterator[Trained]:
    """Train the job's segment to its last step, and keep its lease and its signals while what follows is done. build:
    makes this rank's engine as it is at step 0. Raises Stopped when it is time, InputError when training diverges."""
    settings = job.settings
    world_size = settings.parallel.world_size
    rank = torch.distributed.get_rank() if world_size > 1 else 0
    with Stopping(job.deadline) as stopping:
        ranks = Ranks(rank, world_size)
        recovery = Recovery(job.scratch, str(job.output), ranks)
        try:
            segment = Segment(job.task, build, stream, ranks, recovery, job.identity)
            peak = matmul_peak(job.dtype, "cuda" if torch.cuda.is_available() else "cpu") * world_size
            # The first batch stands for all: where they differ in length, rates are of a batch like it.
            work = Work(stream.tokens_of(0, settings.batch_size), flops_per_token, peak)
            telemetry = Telemetry(work, job.logs if rank == 0 else None, quiet=rank != 0)
            steps = segment.steps(stopping, job.hang_seconds)
            _, seconds = timed(lambda: [None for _ in telemetry.watch(steps, segment.step, settings.stop)])
            yield Trained(segment, telemetry, ranks, seconds)
        finally:
            recovery.close()


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what `work` returns, and its wall time in seconds."""
    begun = time.monotonic()
    result = work()
    return result, time.monotonic() - begun
