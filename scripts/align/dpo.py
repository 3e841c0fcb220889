"""Train a LoRA adapter on preference pairs by direct preference optimisation."""

from pathlib import Path

from llm.align.base import load_base
from llm.align.conversations import read_pairs
from llm.align.dpo import dpo
from llm.align.loop import Schedule
from llm.align.lora import LoraConfig
from llm.align.records import from_dict
from llm.command import command
from llm.runtime.determinism import set_determinism

BASE = "../../models/sft"  # where the adapter's model stands in results/, as seen from the adapter


def main(
    base: Path,
    preferences: Path,
    adapter: Path,
    *,
    lora: dict,
    schedule: dict,
    beta: float,
    max_tokens: int,
    bf16: bool,
    seed: int,
) -> dict:
    """base: Hugging Face model directory with tokenizer.model. preferences: train.jsonl and validation.jsonl.

    adapter: empty directory to fill in PEFT's format, with history.jsonl. lora: {"r", "alpha", "target_modules"};
    schedule: {"steps", "batch", "lr", "warmup", "weight_decay"}; longer conversations than max_tokens are left out.
    """
    set_determinism(True)
    model, tokenizer = load_base(base, max_tokens)
    training, too_long = read_pairs(preferences / "train.jsonl", tokenizer, max_tokens)
    validation, _ = read_pairs(preferences / "validation.jsonl", tokenizer, max_tokens)
    metrics = dpo(
        model,
        training,
        validation,
        adapter,
        base=BASE,
        lora=from_dict(LoraConfig, lora, "align.lora"),
        schedule=from_dict(Schedule, schedule, "align.dpo.schedule").validate(),
        beta=beta,
        seed=seed,
        bf16=bf16,
    )
    return metrics | {"examples": len(training), "too_long": too_long}


if __name__ == "__main__":
    command(main)
