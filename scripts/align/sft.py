"""Fine-tune a LoRA adapter on instruction pairs, loss on response tokens only."""

from pathlib import Path

from llm.align.base import load_base
from llm.align.conversations import read_examples
from llm.align.settings.adapter import AdapterSettings
from llm.align.sft import sft
from llm.command import command
from llm.runtime.determinism import set_determinism

BASE = "../../models/base"  # where the adapter's model stands in results/, as seen from the adapter


def main(base: Path, instructions: Path, adapter: Path, *, settings: AdapterSettings) -> dict:
    """base: Hugging Face model directory with tokenizer.model. instructions: train.jsonl and validation.jsonl.
    adapter: empty directory to fill in PEFT's format, with history.jsonl."""
    set_determinism(True)
    model, tokenizer = load_base(base, settings.max_tokens)
    training, too_long = read_examples(instructions / "train.jsonl", tokenizer, settings.max_tokens)
    validation, _ = read_examples(instructions / "validation.jsonl", tokenizer, settings.max_tokens)
    metrics = sft(model, training, validation, adapter, base=BASE, settings=settings)
    return metrics | {"examples": len(training), "too_long": too_long}


if __name__ == "__main__":
    command(main)
