"""Derive instruction pairs from the clean documents: train.jsonl and validation.jsonl, each from its own split."""

from collections import Counter
from pathlib import Path

from llm.align.instructions import held_out, instruction_pairs
from llm.align.records import write_jsonl
from llm.align.settings.instructions import InstructionSettings
from llm.command import command
from llm.errors import InputError


def main(clean: Path, instructions: Path, *, settings: InstructionSettings) -> dict:
    """clean: directory of clean shards, <source>/part-*.parquet. instructions: empty directory to fill. Where the
    validation split gives no pair, a tenth of those of training are held out."""
    metrics = {}
    train, validation = (
        instruction_pairs(clean, split, counts, settings)
        for split, counts in (("train", settings.train_counts), ("validation", settings.validation_counts))
    )
    if not validation:  # of a small corpus: documents that were read in pretraining, but no answer that is trained on
        train, validation = held_out(train)
    for split, rows in (("train", train), ("validation", validation)):
        if not rows:
            raise InputError(
                f"no instruction pair in the {split} split: name sources or domains with titles or documented Python "
                "functions in align.instructions.kinds, or loosen align.instructions.limits"
            )
        write_jsonl(instructions / f"{split}.jsonl", rows)
        metrics[split] = {
            "pairs": len(rows),
            "by_kind": dict(Counter(row["kind"] for row in rows)),
            "by_source": dict(Counter(row["source"] for row in rows)),
            "answer_characters": sum(len(row["messages"][1]["content"]) for row in rows),
        }
    return metrics


if __name__ == "__main__":
    command(main)
