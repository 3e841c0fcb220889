"""Train the model from one checkpoint to the next, computing with its weights as `quantize` will round them."""

from functools import partial
from pathlib import Path

from llm.command import Surroundings, command
from llm.model.on_grid import put_on_grid
from llm.pretrain.settings import QatSettings
from llm.pretrain.worker import train


def main(
    config: Path,
    tokens: Path,
    plan: Path,
    checkpoint: Path,
    previous: Path | None = None,
    *,
    settings: QatSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """config: config.json, or the directory of a model to go on from. tokens: directory of token shards. plan: the mix.
    previous: the checkpoint of step `start`. checkpoint: empty directory to fill. Returns the metrics."""
    return train(
        config, tokens, plan, checkpoint, previous, settings, surroundings, partial(put_on_grid, grid=settings.grid)
    )


if __name__ == "__main__":
    command(main)
