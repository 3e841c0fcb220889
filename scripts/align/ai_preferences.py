"""Make preference pairs of answers and their revisions: the revision preferred, or what a model chooses by the same
principle."""

from pathlib import Path

from llm.align.base import load_base
from llm.align.constitution import Constitution, read_constitution
from llm.align.critiques import Speaker, directory_digest
from llm.align.feedback import agreement, pairs, preference_figures, refuse_too_few
from llm.align.judge import Comparison, Verdict, verdicts
from llm.align.records import mean, read_jsonl, write_jsonl
from llm.align.settings.constitution import FeedbackSettings
from llm.command import command
from llm.runtime.device import default_device


def main(
    critiques: Path,
    constitution: Path,
    preferences: Path,
    judge: Path | None = None,
    *,
    settings: FeedbackSettings,
) -> dict:
    """critiques: directory with train.jsonl and validation.jsonl. constitution: the file they were made by. judge:
    Hugging Face model directory that chooses; without one the revision is preferred. preferences: empty directory to
    fill with pairs."""
    principles = read_constitution(constitution)
    speaker, digest = None, None
    if judge is not None:
        model, tokenizer = load_base(judge, 2)
        speaker, digest = Speaker(model.to(default_device()), tokenizer), directory_digest(judge)
    metrics: dict = {"labels": settings.labels, "prefer": settings.prefer, "judge": digest}
    for split in ("train", "validation"):
        rows = read_jsonl(critiques / f"{split}.jsonl")
        judged = {} if speaker is None else judged_rows(speaker, rows, principles)
        log_odds = {name: verdict.log_odds for name, verdict in judged.items()}
        found, left_out = pairs(rows, principles, log_odds, settings)
        refuse_too_few(found, "preference pair", split)
        for pair in found:
            pair |= {"judge": digest, "log_probs": shown(judged.get(pair["id"]))}
        write_jsonl(preferences / f"{split}.jsonl", found)
        metrics[split] = preference_figures(found, principles) | {"left_out": left_out}
        if judged:
            metrics[split]["judge"] = {
                "judged": len(judged),
                "consistent": mean([verdict.consistent for verdict in judged.values()]),
                "bias": mean([verdict.bias for verdict in judged.values()]),
                "revision_preferred": mean([odds > 0 for odds in log_odds.values()]),
            } | agreement(rows, principles, log_odds)
    return metrics


def judged_rows(speaker: Speaker, rows: list[dict], constitution: Constitution) -> dict[str, Verdict]:
    """Return, by id, what the model says of each revision beside its answer; those too long for it are not there."""
    revised = [row for row in rows if row["outcome"] == "revised"]
    asked = [
        Comparison(constitution[row["principle"]].choice, row["prompt"], row["revision"], row["answer"])
        for row in revised
    ]
    found = zip(revised, verdicts(speaker, asked), strict=True)
    return {row["id"]: verdict for row, verdict in found if verdict is not None}


def shown(verdict: Verdict | None) -> dict | None:
    """Return a verdict for a pair's row: log-probabilities of A and B in both orders; first the revision is A."""
    if verdict is None:
        return None
    return {"revision_first": list(verdict.straight), "answer_first": list(verdict.turned)}


if __name__ == "__main__":
    command(main)
