"""Train the toxicity classifier on labelled examples."""

from pathlib import Path

from llm.command import command
from llm.process.quality.classifier import build
from llm.process.quality.labelled_csv import read

WINDOW = 64  # words: a document is as toxic as its most toxic passage of this size


def main(
    model: Path,
    archive: Path | None = None,
    *,
    source: str,
    file: str,
    include: list,
    text: str,
    label: str,
    sample_bytes: int,
    seed: int,
) -> dict:
    """archive: fetched, with CSV files; without it the model says "untrained". model: empty directory to fill. source:
    the archive's name in errors. file: the name of the one member if the archive is a plain file. include: globs over
    member names. text, label: the columns; a label is 0 or 1 (toxic). sample_bytes: how much text of each label at
    most. seed: of the order of training. Returns the metrics, on texts that a model has not read."""
    if archive is None:
        return build([], model, window=WINDOW, seed=seed)
    examples = read(archive, source=source, file=file, include=include, text=text, label=label, limit=sample_bytes)
    return build(examples, model, window=WINDOW, seed=seed)


if __name__ == "__main__":
    command(main)
