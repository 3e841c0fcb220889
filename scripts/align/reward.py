"""Train a reward model (LoRA adapter and score) on preference pairs."""

from pathlib import Path

from llm.align.conversations import read_pairs
from llm.align.reward import REWARD
from llm.align.settings.adapter import AdapterSettings
from llm.align.train_adapter import train_adapter
from llm.command import Surroundings, command

BASE = "../../models/sft"  # where the adapter's model stands in results/, as seen from the adapter


def main(
    base: Path,
    preferences: Path,
    adapter: Path,
    *,
    settings: AdapterSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """base: Hugging Face model directory with tokenizer.model. preferences: a training and a validation file. adapter:
    empty directory to fill in PEFT's format, with metrics.parquet."""
    return train_adapter(REWARD, read_pairs, base, preferences, adapter, BASE, settings, surroundings)


if __name__ == "__main__":
    command(main)
