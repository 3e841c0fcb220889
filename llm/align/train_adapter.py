"""Trains an adapter by any method, on the engine that pretrains: one process or many, with guards and recovery points.

A run that was killed, stopped or interrupted goes on from its last recovery point and ends with the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from llm.align.base import load_base
from llm.align.batches import Item, ItemStream
from llm.align.identity import weights_digest
from llm.align.lora import add_lora, save_adapter
from llm.align.method import Method
from llm.align.records import mean
from llm.align.rows import find_split
from llm.align.settings.adapter import AdapterSettings, Schedule
from llm.align.whole import save_whole
from llm.command import Surroundings
from llm.errors import InputError
from llm.io import parquet
from llm.model.config import ModelConfig, digest
from llm.model.directory import load_config
from llm.model.on_grid import put_on_grid
from llm.model.transformer import CausalLM
from llm.progress import progress
from llm.tokenize.open import AnyTokenizer
from llm.training.checkpoint import whole_weights
from llm.training.engine import Engine
from llm.training.engines.build import build_engine
from llm.training.engines.single import prepare_layers
from llm.training.guards import Blame, refuse_divergence
from llm.training.metrics import NAME, table, write_events
from llm.training.mfu import flops_per_token
from llm.training.optimizer import BETA1
from llm.training.prefetch import Stream
from llm.training.run import Job, run_job, trained
from llm.training.segment import Task
from llm.training.settings import OptimizerSettings
from llm.training.step import StepMetrics

BETAS = (BETA1, 0.999)
A = TypeVar("A", bound=AdapterSettings)
Read = Callable[[Path, AnyTokenizer, int, bool], tuple[Sequence[Item], int]]
"""read(file, tokenizer, max_tokens, cut): the items of a file, and how many were longer: cut, or left out."""


@dataclass(frozen=True, kw_only=True)
class AdapterJob(Job[A]):
    """Training of one adapter. base: Hugging Face model directory with tokenizer.model. data: directory with a training
    and a validation file (llm/align/rows.py). base_name: where the base stands, as seen from the adapter."""

    base: Path
    data: Path
    base_name: str


@dataclass(frozen=True, kw_only=True)
class ItemsJob(AdapterJob[AdapterSettings]):
    """Training by a method on items that `read` reads."""

    method: Method
    read: Read


def train_adapter(
    method: Method,
    read: Read,
    base: Path,
    data: Path,
    adapter: Path,
    base_name: str,
    settings: AdapterSettings,
    surroundings: Surroundings,
) -> dict:
    """Train an adapter on the ranks of align.parallel and write it to the empty directory `adapter`. The other
    arguments are the fields of ItemsJob. Returns the metrics."""
    return run_job(
        ItemsJob,
        train_rank,
        surroundings,
        task=task_of(method.name, settings, base),
        output=adapter,
        method=method,
        read=read,
        base=base,
        data=data,
        base_name=base_name,
    )


def task_of(name: str, settings: A, base: Path) -> Task[A]:
    """Return the task of training an adapter of `base` by the method of this name."""
    blame = Blame(name, f"lower align.{name}.schedule.learning_rate or raise its warmup_steps")
    return Task(settings, None, digest(load_config(base / "config.json")), blame)


def train_rank(job: ItemsJob) -> dict:
    """Read model and data, and train, on every rank."""
    most = job.settings.max_tokens
    model, tokenizer = load_base(job.base, most)
    cut = job.settings.too_long == "cut"
    training, too_long = job.read(find_split(job.data, "train"), tokenizer, most, cut)
    validation, _ = job.read(find_split(job.data, "validation"), tokenizer, most, cut)
    found = adapt(job, model.config, loader(job, model), training, validation)
    return found | {"examples": len(training), "too_long": too_long}


def loader(job: AdapterJob, model: CausalLM) -> Callable[[], CausalLM]:
    """Return a function that gives `model`, and loads it again when it is called again: after a rollback to the first
    step."""
    fresh = iter([model])
    return lambda: next(fresh, None) or load_base(job.base, job.settings.max_tokens)[0]


def adapt(
    job: ItemsJob,
    config: ModelConfig,
    load: Callable[[], CausalLM],
    training: Sequence[Item],
    validation: Sequence[Item],
) -> dict:
    """Train on `training`, write the adapter, return what the method's `evaluate` finds on `validation`. load: makes
    the base model, on the CPU, anew each time."""
    settings = job.settings
    if job.method.prepare is not None:
        training = job.method.prepare(lambda: on_its_grid(load(), settings), training, settings, config.pad_id)
    stream = ItemStream(training, settings.batch_size, settings.seed, config.pad_id, settings.packing)
    return trained_by(job, job.method, config, load, stream, training, validation)


def trained_by(
    job: AdapterJob,
    method: Method,
    config: ModelConfig,
    load: Callable[[], CausalLM],
    stream: Stream,
    training: Sequence,
    validation: Sequence,
) -> dict:
    """Train by a method on a stream, which is made of `training`, write the adapter, return what the method's
    `evaluate` finds on `validation`."""
    settings, pad = job.settings, config.pad_id
    before: dict = {}

    def build() -> Engine:
        engine = adapted(method, load(), settings)
        if method.measured_before and not before:
            before.update(method.evaluate(engine, validation, pad))
            if engine.rank == 0:
                progress(
                    f"{method.name}: " + ", ".join(f"{name} {before[name]:.3f}" for name in method.measured_before)
                )
        return engine

    # Frozen weights need no gradient, so a step takes two products of them instead of three.
    flops = (3 if settings.full else 2) * flops_per_token(config, settings.max_tokens) // 3
    with trained(job, build, stream, flops) as run:
        segment = run.segment
        refuse_divergence(segment.history, method.chance(settings, config.vocab_size, training), job.task.blame)
        after = method.evaluate(segment.engine, validation, pad)
        weights = whole_weights(segment.engine, job.scratch / "whole", run.ranks)
        trainable = sum(weight.numel() for weight in weights.values())
        if run.ranks.rank == 0:
            if method.leave is not None:
                weights = method.leave(job.output, weights)
            if settings.full:
                save_whole(weights, job.output)
            else:
                save_adapter(
                    weights,
                    settings.lora,
                    job.output,
                    base=job.base_name,
                    task_type=method.task_type,
                    revision=weights_digest(job.base),
                )
            parquet.write(table(segment.history), job.output / NAME)
            write_events(job.output, segment.guard.events)
    return (
        {"steps": settings.stop, "trainable_parameters": trainable}
        | first_and_last(segment.history)
        | {f"{name}_before": before[name] for name in method.measured_before}
        | after
        | run.summary()
    )


def adapted(method: Method, model: CausalLM, settings: AdapterSettings) -> Engine:
    """Return this rank's engine for a method of a base model, which gets a fresh adapter or is trained as a whole."""
    if settings.full and not method.whole:
        raise InputError(f"align.{method.name}.full: this method needs an adapter beside the model it begins with")
    on_its_grid(model, settings)
    if settings.full:
        model.requires_grad_(True)
    else:
        add_lora(model, settings.lora, settings.seed)
    objective = method.objective(prepare_layers(model, settings.recompute), settings)
    return build_engine(objective, settings.parallel, optimizer_of(settings.schedule))


def on_its_grid(model: CausalLM, settings: AdapterSettings) -> CausalLM:
    """Return the base model, on the grid that it is trained on, where there is one."""
    return model if settings.grid is None else put_on_grid(model, settings.grid)


def optimizer_of(schedule: Schedule) -> OptimizerSettings:
    """Return AdamW on all that is trained."""
    return OptimizerSettings("adamw", schedule.learning_rate, weight_decay=schedule.weight_decay, beta2=BETAS[1])


def first_and_last(history: list[StepMetrics]) -> dict[str, float]:
    """Return the mean losses of the first and the last tenth of the steps that were taken."""
    losses = [metrics.loss for metrics in history if metrics.skipped is None]
    tenth = max(1, len(losses) // 10)
    return {"first_loss": mean(losses[:tenth]), "last_loss": mean(losses[-tenth:])}
