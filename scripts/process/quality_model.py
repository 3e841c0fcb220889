"""Train the quality classifier, which tells the curated sources' documents from the raw ones'."""

from pathlib import Path

from llm.command import command
from llm.process.quality.classifier import build
from llm.process.quality.cross_fit import sample
from llm.process.settings.quality_model import QualitySettings

WINDOW = 128  # words


def main(
    model: Path, curated: list[Path] | None = None, raw: list[Path] | None = None, *, settings: QualitySettings
) -> dict:
    """curated, raw: directories of raw shards; without one of either the model says "untrained". model: empty directory
    to fill. Returns the metrics, on documents that a model has not read."""
    examples = (
        (label, frame)
        for label, some in enumerate((raw, curated))
        for frame in sample(some or [], settings.sample_bytes)
    )
    return build(examples, model, window=WINDOW, seed=settings.seed)


if __name__ == "__main__":
    command(main)
