"""Train a LoRA adapter on preference pairs by direct preference optimisation."""

from pathlib import Path

from llm.align.base import load_base
from llm.align.conversations import read_pairs
from llm.align.dpo import dpo
from llm.align.settings.dpo import DpoSettings
from llm.command import command
from llm.runtime.determinism import set_determinism

BASE = "../../models/sft"  # where the adapter's model stands in results/, as seen from the adapter


def main(base: Path, preferences: Path, adapter: Path, *, settings: DpoSettings) -> dict:
    """base: Hugging Face model directory with tokenizer.model. preferences: train.jsonl and validation.jsonl.
    adapter: empty directory to fill in PEFT's format, with history.jsonl."""
    set_determinism(True)
    model, tokenizer = load_base(base, settings.max_tokens)
    training, too_long = read_pairs(preferences / "train.jsonl", tokenizer, settings.max_tokens)
    validation, _ = read_pairs(preferences / "validation.jsonl", tokenizer, settings.max_tokens)
    metrics = dpo(model, training, validation, adapter, base=BASE, settings=settings)
    return metrics | {"examples": len(training), "too_long": too_long}


if __name__ == "__main__":
    command(main)
