"""Counts by exact tests how many of a model's answers to held-out prompts follow each principle of a constitution. The
model is not told the principles: what it keeps, it has learned."""

from collections.abc import Sequence
from pathlib import Path

from llm.align.constitution import Constitution
from llm.align.counted import counted
from llm.align.critiques import Question, Speaker
from llm.align.records import mean, standard_error
from llm.align.settings.constitution import AdherenceSettings
from llm.errors import InputError


def refuse_untested(constitution: Constitution, path: Path) -> None:
    """Raise InputError for a constitution none of whose principles has a test."""
    if not constitution.tested:
        raise InputError(
            f"{path}: no principle has a test, so nothing says who follows it; ask for another's adherence"
        )


def answered(speaker: Speaker, questions: Sequence[Question], settings: AdherenceSettings) -> list[dict]:
    """Return rows {"id", "prompt", "answers"}. Questions that leave no room for an answer have none."""
    prompts = [speaker.prompt(question.messages, settings.max_new_tokens) for question in questions]
    requests = [
        speaker.request(
            ids,
            settings,
            (settings.seed, counted("adherence", question.id)),
            settings.max_new_tokens,
            settings.samples,
        )
        for ids, question in zip(prompts, questions, strict=True)
        if ids is not None
    ]
    replies = iter(speaker.replies(requests))
    return [
        {
            "id": question.id,
            "prompt": question.messages[-1]["content"],
            "answers": [] if ids is None else [text for text, _ in next(replies)],
        }
        for ids, question in zip(prompts, questions, strict=True)
    ]


def figures(rows: Sequence[dict], constitution: Constitution) -> dict:
    """Return the share of answers that follow each principle, and their mean with its standard error over prompts."""
    kept = [row for row in rows if row["answers"]]
    each = [[constitution.results(answer) for answer in row["answers"]] for row in kept]
    by_principle = {
        principle.name: mean([mean([result[principle.name] for result in results]) for results in each])
        for principle in constitution.tested
    }
    of_prompts = [mean([mean(result.values()) for result in results]) for results in each]
    return {
        "prompts": len(kept),
        "too_long": len(rows) - len(kept),
        "empty": sum(not answer for row in kept for answer in row["answers"]),
        "words": mean([len(answer.split()) for row in kept for answer in row["answers"]]),
        "follows": mean(of_prompts),
        "follows_error": standard_error(of_prompts),
        "follows_by_principle": by_principle,
    }
