"""Train the model from one checkpoint to the next."""

import tempfile
from pathlib import Path

from llm.command import Surroundings, command
from llm.errors import Stopped
from llm.model.config import digest
from llm.model.directory import load_config
from llm.pretrain.segment import Task
from llm.pretrain.settings import SegmentSettings
from llm.pretrain.worker import Job, train_segment
from llm.runtime.launch import run_ranks
from llm.runtime.stopping import deadline


def main(
    config: Path,
    tokens: Path,
    plan: Path,
    checkpoint: Path,
    previous: Path | None = None,
    *,
    settings: SegmentSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """config: config.json, or the directory of a model to go on from. tokens: directory of token shards. plan: the mix.
    previous: the checkpoint of step `start`. checkpoint: empty directory to fill. Returns the metrics."""
    model, layout = load_config(config / "config.json" if config.is_dir() else config), settings.parallel.validate()
    layout.ranks_per_node(surroundings.nodes)
    if surroundings.logs is not None:
        surroundings.logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        job = Job(
            Task(settings, previous, digest(model)),
            model,
            tokens,
            plan,
            checkpoint,
            surroundings.scratch or Path(temporary),
            surroundings.logs,
            deadline(surroundings.time_limit),
            surroundings.hang_seconds or 0,
        )
        metrics = run_ranks(
            layout.world_size, train_segment, job, nodes=surroundings.nodes, shared=surroundings.scratch
        )
    if "stopped" in metrics:
        raise Stopped(metrics["stopped"])
    return metrics


if __name__ == "__main__":
    command(main)
