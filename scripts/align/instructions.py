"""Derive instruction pairs from the clean documents: train.jsonl and validation.jsonl, each from its own split."""

from collections import Counter
from pathlib import Path

from llm.align.instructions import Limits, instruction_pairs
from llm.align.records import from_dict, write_jsonl
from llm.command import command
from llm.errors import InputError


def main(
    clean: Path,
    instructions: Path,
    *,
    kinds: dict,
    train_counts: dict,
    validation_counts: dict,
    limits: dict,
    languages: list,
    seed: int,
) -> dict:
    """clean: directory of clean shards, <source>/part-*.parquet. instructions: empty directory to fill.

    kinds: {kind: [sources or domains]}; train_counts, validation_counts: {kind: pairs at most};
    limits: {"min_answer", "max_answer", "max_prompt"} in characters; languages: of definitions and passages.
    """
    checked = from_dict(Limits, limits, "align.instructions.limits")
    metrics = {}
    for split, counts in (("train", train_counts), ("validation", validation_counts)):
        rows = instruction_pairs(clean, split, kinds, counts, checked, languages, seed)
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
