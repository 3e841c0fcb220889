"""Train, on the curated sources, the n-gram models by which documents' perplexity is computed."""

from pathlib import Path

from llm.command import command
from llm.process.quality.perplexity import build
from llm.process.settings.perplexity_model import PerplexitySettings


def main(model: Path, curated: list[Path] | None = None, *, settings: PerplexitySettings) -> dict:
    """curated: directories of raw shards; without one the model says "untrained". model: empty directory to fill.
    Returns the metrics, perplexity of text that a model has not read among them."""
    return build(curated or [], model, **vars(settings))


if __name__ == "__main__":
    command(main)
