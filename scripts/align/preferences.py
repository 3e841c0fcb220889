"""Derive preference pairs from instruction pairs: the reference answer against a spoilt one."""

from collections import Counter
from pathlib import Path

from llm.align.preferences import preference_pairs
from llm.align.records import length_rule, read_jsonl, write_jsonl
from llm.align.settings.preferences import PreferenceSettings
from llm.command import command
from llm.errors import InputError


def main(instructions: Path, preferences: Path, *, settings: PreferenceSettings) -> dict:
    """instructions: directory with train.jsonl and validation.jsonl. preferences: empty directory to fill alike."""
    metrics = {}
    for split, counts in (("train", settings.train_counts), ("validation", settings.validation_counts)):
        given = read_jsonl(instructions / f"{split}.jsonl")
        rows = preference_pairs(given, counts, settings.max_answer, settings.seed)
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
