"""Train a LoRA adapter on answers labelled good or bad, by Kahneman-Tversky optimisation."""

from pathlib import Path

from llm.align.conversations import read_labelled
from llm.align.kto import KTO
from llm.align.settings.kto import KtoSettings
from llm.align.train_adapter import train_adapter
from llm.command import Surroundings, command

BASE = "../../models/sft"  # where the adapter's model stands in results/, as seen from the adapter


def main(
    base: Path,
    preferences: Path,
    adapter: Path,
    *,
    settings: KtoSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """base: Hugging Face model directory with tokenizer.model. preferences: a training and a validation file. adapter:
    empty directory to fill in PEFT's format, with metrics.parquet."""
    return train_adapter(KTO, read_labelled, base, preferences, adapter, BASE, settings, surroundings)


if __name__ == "__main__":
    command(main)
