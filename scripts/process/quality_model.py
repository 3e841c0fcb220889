"""Train the quality classifier, which tells the curated sources' documents from the raw ones'."""

from pathlib import Path

from llm.command import command
from llm.process.quality.classifier import build
from llm.process.quality.cross_fit import sample

WINDOW = 128  # words


def main(
    model: Path, curated: list[Path] | None = None, raw: list[Path] | None = None, *, sample_bytes: int, seed: int
) -> dict:
    """curated, raw: directories of raw shards; without one of either the model says "untrained". model: empty directory
    to fill. sample_bytes: how much text of each class at most. seed: of the order of training. Returns the metrics, on
    documents that a model has not read."""
    examples = (
        (label, frame) for label, some in enumerate((raw, curated)) for frame in sample(some or [], sample_bytes)
    )
    return build(examples, model, window=WINDOW, seed=seed)


if __name__ == "__main__":
    command(main)
