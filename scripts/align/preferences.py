"""Derive preference pairs from instruction pairs: the reference answer against a spoilt one."""

from collections import Counter
from pathlib import Path

from llm.align.preferences import preference_pairs
from llm.align.records import length_rule, read_jsonl, write_jsonl
from llm.command import command
from llm.errors import InputError


def main(
    instructions: Path, preferences: Path, *, train_counts: dict, validation_counts: dict, max_answer: int, seed: int
) -> dict:
    """instructions: directory with train.jsonl and validation.jsonl. preferences: empty directory to fill alike.

    train_counts, validation_counts: {kind: pairs at most}; max_answer: characters of a rejected answer at most.
    """
    metrics = {}
    for split, counts in (("train", train_counts), ("validation", validation_counts)):
        rows = preference_pairs(read_jsonl(instructions / f"{split}.jsonl"), counts, max_answer, seed)
        if not rows:
            raise InputError(f"no preference pair in the {split} split: raise align.preferences' counts or max_answer")
        write_jsonl(preferences / f"{split}.jsonl", rows)
        lengths = [(len(row["chosen"]), len(row["rejected"])) for row in rows]
        metrics[split] = {
            "pairs": len(rows),
            "by_kind": dict(Counter(row["kind"] for row in rows)),
            "length_rule": length_rule(lengths),
        }
    return metrics


if __name__ == "__main__":
    command(main)
