"""Trains an adapter by any method, on the engine that pretrains: one process or many, with guards and recovery points.

A run that was killed, stopped or interrupted goes on from its last recovery point and ends with the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm.align.base import load_base
from llm.align.batches import Item, ItemStream
from llm.align.lora import add_lora, save_adapter
from llm.align.method import Method, mean
from llm.align.rows import find_split
from llm.align.settings.adapter import AdapterSettings, Schedule
from llm.command import Surroundings
from llm.io import parquet
from llm.model.config import ModelConfig, digest
from llm.model.directory import load_config
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
from llm.training.run import Job, run_job, trained
from llm.training.segment import Task
from llm.training.settings import OptimizerSettings
from llm.training.step import StepMetrics

BETAS = (0.9, 0.999)
Read = Callable[[Path, AnyTokenizer, int, bool], tuple[Sequence[Item], int]]
"""read(file, tokenizer, max_tokens, cut): the items of a file, and how many were longer: cut, or left out."""


@dataclass(frozen=True, kw_only=True)
class AdapterJob(Job[AdapterSettings]):
    """Training of one adapter. base: Hugging Face model directory with tokenizer.model. data: directory with a training
    and a validation file (llm/align/rows.py), which `read` reads. base_name: where the base stands, as seen from the
    adapter."""

    method: Method
    read: Read
    base: Path
    data: Path
    base_name: str


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
    arguments are the fields of AdapterJob. Returns the metrics."""
    config = digest(load_config(base / "config.json"))
    blame = Blame(method.name, f"lower align.{method.name}.schedule.learning_rate or raise its warmup_steps")
    return run_job(
        AdapterJob,
        train_rank,
        surroundings,
        task=Task(settings, None, config, blame),
        output=adapter,
        method=method,
        read=read,
        base=base,
        data=data,
        base_name=base_name,
    )


def train_rank(job: AdapterJob) -> dict:
    """Read model and data, and train, on every rank."""
    model, tokenizer = load_base(job.base, job.settings.max_tokens)
    most = job.settings.max_tokens
    cut = job.settings.too_long == "cut"
    training, too_long = job.read(find_split(job.data, "train"), tokenizer, most, cut)
    validation, _ = job.read(find_split(job.data, "validation"), tokenizer, most, cut)
    fresh = iter([model])  # a rollback to the first step loads it again

    def load() -> CausalLM:
        return next(fresh, None) or load_base(job.base, most)[0]

    found = adapt(job, model.config, load, training, validation)
    return found | {"examples": len(training), "too_long": too_long}


def adapt(
    job: AdapterJob,
    config: ModelConfig,
    load: Callable[[], CausalLM],
    training: Sequence[Item],
    validation: Sequence[Item],
) -> dict:
    """Train on `training`, write the adapter, return what the method's `evaluate` finds on `validation`. load: makes
    the base model, on the CPU, anew each time."""
    method, settings, pad = job.method, job.settings, config.pad_id
    stream = ItemStream(training, settings.batch_size, settings.seed, pad)
    before: dict = {}

    def build() -> Engine:
        engine = engine_of(job, load())
        if method.measured_before and not before:
            before.update(method.evaluate(engine, validation, pad))
            if engine.rank == 0:
                progress(
                    f"{method.name}: " + ", ".join(f"{name} {before[name]:.3f}" for name in method.measured_before)
                )
        return engine

    # Frozen weights need no gradient, so a step takes two products of them instead of three.
    flops = 2 * flops_per_token(config, settings.max_tokens) // 3
    with trained(job, build, stream, flops) as run:
        segment = run.segment
        refuse_divergence(segment.history, method.chance(settings, config.vocab_size, training), job.task.blame)
        after = method.evaluate(segment.engine, validation, pad)
        weights = whole_weights(segment.engine, job.scratch / "whole", run.ranks)
        if run.ranks.rank == 0:
            save_adapter(weights, settings.lora, job.output, base=job.base_name, task_type=method.task_type)
            parquet.write(table(segment.history), job.output / NAME)
            write_events(job.output, segment.guard.events)
    return (
        {"steps": settings.stop, "trainable_parameters": sum(weight.numel() for weight in weights.values())}
        | first_and_last(segment.history)
        | {f"{name}_before": before[name] for name in method.measured_before}
        | after
        | run.summary()
    )


def engine_of(job: AdapterJob, model: CausalLM) -> Engine:
    """Return this rank's engine of a base model, with a fresh adapter."""
    settings = job.settings
    add_lora(model, settings.lora, settings.seed)
    objective = job.method.objective(prepare_layers(model, settings.recompute), settings)
    return build_engine(objective, settings.parallel, optimizer_of(settings.schedule))


def optimizer_of(schedule: Schedule) -> OptimizerSettings:
    """Return AdamW on all that is trained."""
    return OptimizerSettings(
        "adamw", schedule.learning_rate, weight_decay=schedule.weight_decay, betas=BETAS, plain=True
    )


def first_and_last(history: list[StepMetrics]) -> dict[str, float]:
    """Return the mean losses of the first and the last tenth of the steps that were taken."""
    losses = [metrics.loss for metrics in history if metrics.skipped is None]
    tenth = max(1, len(losses) // 10)
    return {"first_loss": mean(losses[:tenth]), "last_loss": mean(losses[-tenth:])}
