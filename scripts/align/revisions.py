"""Make instruction pairs of revisions: each prompt with the answer as the model revised it."""

from collections import Counter
from pathlib import Path

from llm.align.constitution import read_constitution
from llm.align.feedback import WITH_REVISION, conversations, followed, refuse_too_few
from llm.align.records import read_jsonl, write_jsonl
from llm.align.settings.constitution import RevisionSettings
from llm.command import command


def main(critiques: Path, constitution: Path, revisions: Path, *, settings: RevisionSettings) -> dict:
    """critiques: directory with train.jsonl and validation.jsonl. constitution: the file they were made by. revisions:
    empty directory to fill with instruction pairs."""
    principles = read_constitution(constitution)
    metrics = {}
    for split in ("train", "validation"):
        rows = read_jsonl(critiques / f"{split}.jsonl")
        found = conversations(rows, settings.labels, settings.seed)
        refuse_too_few(found, "revision", split)
        write_jsonl(revisions / f"{split}.jsonl", found)
        metrics[split] = {
            "pairs": len(found),
            "by_kind": dict(Counter(row["kind"] for row in found)),
            "left_out": dict(Counter(row["outcome"] for row in rows if row["outcome"] not in WITH_REVISION)),
        } | followed([(row["principle"], row["messages"][-1]["content"]) for row in found], principles)
    return metrics | {"labels": settings.labels}


if __name__ == "__main__":
    command(main)
