"""Train the toxicity classifier on labelled examples."""

from pathlib import Path

from llm.command import command
from llm.process.quality.labelled_csv import read
from llm.process.quality.toxicity import build
from llm.process.settings.toxicity_model import ToxicitySettings


def main(model: Path, archive: Path | None = None, *, settings: ToxicitySettings) -> dict:
    """archive: fetched, with CSV files; without it the model says "untrained". model: empty directory to fill.
    Returns the metrics, on texts that a model has not read."""
    if archive is None:
        return build([], model, seed=settings.seed)
    examples = read(
        archive,
        source=settings.source,
        file=settings.file,
        include=settings.include,
        text=settings.text,
        label=settings.label,
        limit=settings.sample_bytes,
    )
    return build(examples, model, seed=settings.seed)


if __name__ == "__main__":
    command(main)
