"""Train a LoRA adapter on preference pairs by a loss of the table: DPO, IPO, SimPO or ORPO."""

from pathlib import Path

from llm.align.conversations import read_pairs
from llm.align.paired import METHODS
from llm.align.settings.paired import PairedSettings
from llm.align.train_adapter import train_adapter
from llm.command import Surroundings, command

BASE = "../../models/sft"  # where the adapter's model stands in results/, as seen from the adapter


def main(
    base: Path,
    preferences: Path,
    adapter: Path,
    *,
    settings: PairedSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """base: Hugging Face model directory with tokenizer.model. preferences: a training and a validation file. adapter:
    empty directory to fill in PEFT's format, with metrics.parquet."""
    return train_adapter(METHODS[settings.loss], read_pairs, base, preferences, adapter, BASE, settings, surroundings)


if __name__ == "__main__":
    command(main)
