"""Train the model from one checkpoint to the next."""

from pathlib import Path

from llm.command import Surroundings, command
from llm.pretrain.settings import SegmentSettings
from llm.pretrain.worker import train


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
    return train(config, tokens, plan, checkpoint, previous, settings, surroundings)


if __name__ == "__main__":
    command(main)
