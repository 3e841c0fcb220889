"""Train the model from one checkpoint to the next. Does not choose the architecture, the data mix or the tokenizer."""

import tempfile
from pathlib import Path

from llm.command import command
from llm.errors import Stopped
from llm.model.config import digest
from llm.model.directory import load_config
from llm.pretrain.engines.layout import Layout
from llm.pretrain.guards import GuardSettings
from llm.pretrain.optimizer import OptimizerSettings
from llm.pretrain.segment import Task
from llm.pretrain.worker import Job, train_segment
from llm.runtime.launch import run_ranks
from llm.runtime.stopping import deadline


def main(
    config: Path,
    tokens: Path,
    plan: Path,
    checkpoint: Path,
    previous: Path | None = None,
    scratch: Path | None = None,
    logs: Path | None = None,
    *,
    start: int,
    stop: int,
    batch_size: int,
    optimizer: str,
    learning_rate: float,
    matrix_learning_rate: float,
    weight_decay: float,
    clip_norm: float,
    schedule: dict,
    dtype: str,
    validation_tokens: int | None,
    parallel: dict,
    recompute: str,
    compile: bool,
    guards: dict | None,
    recovery_every: int,
    seed: int,
    time_limit: float | None = None,
    hang_seconds: float | None = None,
    nodes: int = 1,
) -> dict:
    """config: config.json. tokens: directory of token shards. plan: the mix. previous: the checkpoint of step `start`.
    checkpoint: empty directory to fill. scratch: what an interrupted run goes on from, the same directory again; logs:
    for live telemetry. validation_tokens: per source, null for all. parallel: a layout of ranks. guards: null for none.
    time_limit: minutes until it stops in peace. hang_seconds: without a step, until it ends. nodes: of the Slurm job,
    over which the ranks are spread; without one they all run here. Returns the metrics."""
    model, layout = load_config(config), Layout.from_section(parallel)
    layout.ranks_per_node(nodes)
    settings = OptimizerSettings(optimizer, learning_rate, matrix_learning_rate, weight_decay, clip_norm)
    guard_settings = None if guards is None else GuardSettings(**guards)
    task = Task(
        start, stop, previous, batch_size, schedule, learning_rate, recovery_every, guard_settings, digest(model),
        layout.to_dict(),
    )  # fmt: skip
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        job = Job(
            task, model, layout, settings, dtype, seed, recompute, compile, tokens, plan, checkpoint,
            scratch or Path(temporary), logs, validation_tokens, deadline(time_limit), hang_seconds or 0,
        )  # fmt: skip
        metrics = run_ranks(layout.world_size, train_segment, job, nodes=nodes, shared=scratch)
    if "stopped" in metrics:
        raise Stopped(metrics["stopped"])
    return metrics


if __name__ == "__main__":
    command(main)
