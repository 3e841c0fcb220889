"""Fine-tune a LoRA adapter on instruction pairs, loss on response tokens only."""

from pathlib import Path

from llm.align.conversations import read_examples
from llm.align.settings.adapter import AdapterSettings
from llm.align.sft import SFT
from llm.align.train_adapter import train_adapter
from llm.command import Surroundings, command


def main(
    base: Path,
    instructions: Path,
    adapter: Path,
    *,
    settings: AdapterSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """base: Hugging Face model directory with tokenizer.model, in results/models. instructions: a training and a
    validation file. adapter: empty directory to fill in PEFT's format, with metrics.parquet."""
    name = f"../../models/{base.name}"  # where the adapter's model stands in results/, as seen from the adapter
    return train_adapter(SFT, read_examples, base, instructions, adapter, name, settings, surroundings)


if __name__ == "__main__":
    command(main)
