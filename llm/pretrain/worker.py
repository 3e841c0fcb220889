"""Runs one rank of a segment of pretraining: build, train, validate, write the checkpoint."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm.command import Surroundings
from llm.model.config import ModelConfig, digest
from llm.model.directory import CONFIG_NAME, load_config
from llm.model.transformer import CausalLM
from llm.pretrain.data import TokenStream
from llm.pretrain.engines.build import build_engine
from llm.pretrain.evaluate import ValidationSet, bits_per_byte
from llm.pretrain.metrics import write_metrics
from llm.pretrain.settings import SegmentSettings
from llm.training.engine import Engine
from llm.training.guards import Blame, refuse_divergence
from llm.training.metrics import write_events
from llm.training.mfu import flops_per_token
from llm.training.run import Job, run_job, timed, trained
from llm.training.segment import Task

ADVICE = "lower pretrain.learning_rate and matrix_learning_rate, or raise pretrain.warmup_steps"


@dataclass(frozen=True, kw_only=True)
class SegmentJob(Job[SegmentSettings]):
    """A segment of pretraining: a job with its model and its data. prepare: what is done to the model before it is
    trained, whose weights keep their names; it pickles."""

    model: ModelConfig
    tokens: Path
    plan: Path
    prepare: Callable[[CausalLM], CausalLM] | None = None


def train(
    config: Path,
    tokens: Path,
    plan: Path,
    checkpoint: Path,
    previous: Path | None,
    settings: SegmentSettings,
    surroundings: Surroundings,
    prepare: Callable[[CausalLM], CausalLM] | None = None,
) -> dict:
    """Train a segment on all its ranks. config: config.json, or the directory of a model to go on from. tokens:
    directory of token shards. plan: the mix. previous: the checkpoint of step `start`. checkpoint: empty directory to
    fill. Returns the metrics."""
    model = load_config(config / CONFIG_NAME if config.is_dir() else config)
    settings.parallel.validate().ranks_per_node(surroundings.nodes)
    return run_job(
        SegmentJob,
        train_segment,
        surroundings,
        task=Task(settings, previous, digest(model), blame_of(settings)),
        model=model,
        tokens=tokens,
        plan=plan,
        output=checkpoint,
        prepare=prepare,
    )


def blame_of(settings: SegmentSettings) -> Blame:
    """Return how a segment that diverged is told of."""
    return Blame("pretraining", ADVICE, f" (the checkpoint of step {settings.start} is untouched)")


def train_segment(job: SegmentJob) -> dict:
    """Train the segment, on every rank. Returns the metrics."""
    settings = job.settings
    stream = TokenStream(job.tokens, job.plan, job.model.context_length, job.model.vocab_size, settings.seed)
    with trained(job, lambda: engine_of(job), stream, flops_per_token(job.model)) as run:
        segment, telemetry = run.segment, run.telemetry
        refuse_divergence(segment.history, math.log(job.model.vocab_size), job.task.blame)
        scores, held_out = segment.engine.scores, ValidationSet(job.tokens)
        validation, validation_seconds = timed(
            lambda: bits_per_byte(scores, job.model, held_out, settings.validation_tokens)
        )
        last = segment.history[-1]
        if not math.isfinite(validation["bpb"]):
            raise job.task.blame.diverged(settings.stop, last.loss, last.grad_norm)
        segment.save(job.output)
    if run.ranks.rank == 0:
        telemetry.validated(settings.stop, {"bits_per_byte": validation["bpb"]} | validation["by_domain"])
        write_metrics(job.output, segment.history, validation)
        write_events(job.output, segment.guard.events)
    return {
        "step": settings.stop,
        "loss": last.loss if math.isfinite(last.loss) else None,
        "val_bpb": validation["bpb"],
        "val_bpb_by_domain": validation["by_domain"],
        "validation_tokens": validation["tokens"],
        "tokens_per_epoch": stream.tokens,
        "validation_seconds": round(validation_seconds, 1),
    } | run.summary()


def engine_of(job: SegmentJob) -> Engine:
    settings = job.settings
    return build_engine(
        job.model,
        settings.parallel,
        settings,
        job.dtype,
        settings.seed,
        settings.recompute,
        settings.compile,
        job.prepare,
    )
