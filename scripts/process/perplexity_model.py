"""Train, on the curated sources, the n-gram models by which documents' perplexity is computed."""

from pathlib import Path

from llm.command import command
from llm.process.quality.perplexity import build


def main(
    model: Path, curated: list[Path] | None = None, *, order: int, vocabulary: int, sample_bytes: int, prune: bool
) -> dict:
    """curated: directories of raw shards; without one the model says "untrained". model: empty directory to fill.
    order: words in an n-gram. vocabulary: most words. sample_bytes: how much text at most. prune: drop n-grams of three
    words and more that occurred once. Returns the metrics, perplexity of text that a model has not read among them."""
    return build(curated or [], model, order=order, vocabulary=vocabulary, sample_bytes=sample_bytes, prune=prune)


if __name__ == "__main__":
    command(main)
