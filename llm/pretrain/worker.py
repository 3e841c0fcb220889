"""Runs one rank of a segment of pretraining: build, train, validate, write the checkpoint.

Everything that scripts/pretrain/pretrain.py is given is in one picklable Job, since ranks may be other processes.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch

from llm.errors import Stopped
from llm.model.config import ModelConfig
from llm.pretrain.data import TokenStream
from llm.pretrain.engine import Engine
from llm.pretrain.engines.build import build_engine
from llm.pretrain.evaluate import ValidationSet, bits_per_byte
from llm.pretrain.guards import diverged, refuse_divergence
from llm.pretrain.metrics import write_metrics
from llm.pretrain.mfu import flops_per_token, matmul_peak
from llm.pretrain.recovery import Recovery
from llm.pretrain.segment import Segment, Task
from llm.pretrain.settings import SegmentSettings
from llm.pretrain.telemetry import Telemetry, Work
from llm.runtime.agreement import Ranks
from llm.runtime.determinism import set_determinism
from llm.runtime.malloc import keep_freed_memory
from llm.runtime.stopping import Stopping

T = TypeVar("T")
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
EVENTS = "events.jsonl"


@dataclass(frozen=True)
class Job:
    """A segment's task with its paths. scratch: recovery points and the lease. logs: live telemetry, or None. deadline:
    when to have stopped, in seconds since the epoch. hang_seconds: 0 for no watchdog."""

    task: Task
    model: ModelConfig
    tokens: Path
    plan: Path
    checkpoint: Path
    scratch: Path
    logs: Path | None
    deadline: float
    hang_seconds: float

    @property
    def settings(self) -> SegmentSettings:
        """The slice of the config that the segment depends on."""
        return self.task.settings

    @property
    def identity(self) -> str:
        """The digest of all that the steps depend on except files; a recovery point must have the same."""
        return hashlib.sha256(repr(replace(self.task, previous=None)).encode()).hexdigest()


def train_segment(job: Job) -> dict:
    """Train the segment, on every rank. Returns the metrics, or {"stopped": line} where it was told to stop."""
    keep_freed_memory()
    set_determinism(True)
    task, settings, dtype = job.task, job.settings, DTYPES[job.settings.dtype]
    world_size = settings.parallel.world_size
    with Stopping(job.deadline) as stopping:
        stream = TokenStream(job.tokens, job.plan, job.model.context_length, job.model.vocab_size, settings.seed)
        rank = torch.distributed.get_rank() if world_size > 1 else 0
        ranks = Ranks(rank, world_size)
        recovery = Recovery(job.scratch, str(job.checkpoint), ranks)
        try:
            segment = Segment(task, lambda: engine_of(job, dtype), stream, ranks, recovery, job.identity)
            peak = matmul_peak(dtype, "cuda" if torch.cuda.is_available() else "cpu") * world_size
            work = Work(segment.per_step, flops_per_token(job.model), peak)
            telemetry = Telemetry(work, job.logs if rank == 0 else None, quiet=rank != 0)
            steps = segment.steps(stopping, job.hang_seconds)
            _, seconds = timed(lambda: [None for _ in telemetry.watch(steps, segment.step, settings.stop)])
            refuse_divergence(segment.history, settings.start, math.log(job.model.vocab_size))
            losses, held_out = segment.engine.token_losses, ValidationSet(job.tokens)
            validation, validation_seconds = timed(
                lambda: bits_per_byte(losses, job.model, held_out, settings.validation_tokens)
            )
            last = segment.history[-1]
            if not math.isfinite(validation["bpb"]):
                raise diverged(settings.stop, settings.start, last.loss, last.grad_norm)
            segment.save(job.checkpoint)
        except Stopped as stopped:
            return {"stopped": str(stopped)}
        finally:
            recovery.close()
    if rank == 0:
        telemetry.validated(settings.stop, validation)
        write_metrics(job.checkpoint, segment.history, validation)
        write_events(job.checkpoint / EVENTS, segment.guard.events)
    return {
        "step": settings.stop,
        "loss": last.loss if math.isfinite(last.loss) else None,
        "val_bpb": validation["bpb"],
        "val_bpb_by_domain": validation["by_domain"],
        "validation_tokens": validation["tokens"],
        "tokens_seen": segment.tokens_seen,
        "tokens_per_epoch": stream.tokens,
        "skipped_steps": len(segment.skipped),
        "rollbacks": segment.guard.rollbacks,
        "seconds": round(seconds, 1),
        "validation_seconds": round(validation_seconds, 1),
    } | telemetry.summary()


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what `work` returns, and its wall time in seconds."""
    begun = time.monotonic()
    result = work()
    return result, time.monotonic() - begun


def engine_of(job: Job, dtype: torch.dtype) -> Engine:
    settings = job.settings
    return build_engine(
        job.model, settings.parallel, settings, dtype, settings.seed, settings.recompute, settings.compile
    )


def write_events(path: Path, events: list[dict]) -> None:
    """Write a line for each skipped step and each rollback; no file where there were none."""
    if events:
        path.write_text("".join(json.dumps(event, sort_keys=True) + "\n" for event in events), encoding="utf-8")
