"""Train a classifier (quality, toxicity) that tells some sources' documents from those of others. Filters nothing."""

from pathlib import Path

from llm.command import command
from llm.text.classifier import build


def main(
    model: Path,
    positive: list[Path] | None = None,
    negative: list[Path] | None = None,
    *,
    window: int,
    sample_bytes: int,
    seed: int,
) -> dict:
    """positive, negative: directories of raw shards; without one of either the model says "untrained". model: empty
    directory to fill. window: words judged at once. sample_bytes: how much text of each class at most. seed: of the
    order of training. Returns the metrics, on documents that a model has not read."""
    return build(positive or [], negative or [], model, window=window, sample_bytes=sample_bytes, seed=seed)


if __name__ == "__main__":
    command(main)
