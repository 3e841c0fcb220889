"""Train the model from one checkpoint to the next."""

from pathlib import Path

from llm.command import Surroundings, command
from llm.model.config import digest
from llm.model.directory import load_config
from llm.pretrain.settings import SegmentSettings
from llm.pretrain.worker import SegmentJob, blame_of, train_segment
from llm.training.run import run_job
from llm.training.segment import Task


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
    model = load_config(config / "config.json" if config.is_dir() else config)
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
    )


if __name__ == "__main__":
    command(main)
