"""Judges one model: everything that is measured of it, beside the model that it was made from and the base.

What it returns is the artifact: {"metrics", "answers", "samples", "validation"}; the last lets the next stage be
compared with this one prompt by prompt and window by window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm.align.batches import Example
from llm.align.prompts import Prompt
from llm.align.scorer import Scorer
from llm.evaluate.answers import (
    FORMAT,
    REFUSAL,
    Sampling,
    answered,
    compared,
    compliance,
    control_ids,
    prompts_of,
    rewards_of,
)
from llm.evaluate.checks import Answer, is_refusal
from llm.evaluate.held_out import bits_per_byte, instruction_loss, tax, validation_bits
from llm.evaluate.settings import EvaluationSettings
from llm.evaluate.statistics import estimate
from llm.evaluate.suite import Refusal, Suite
from llm.evaluate.tasks import asked, mean_of
from llm.inference.engine import Engine
from llm.pretrain.evaluate import ValidationSet
from llm.progress import progress
from llm.tokenize.open import AnyTokenizer


@dataclass(frozen=True)
class Questions:
    """What a model is judged by: held-out conversations, prompts of such (the first of `samples` are shown), the
    corpus's validation set, the suite."""

    examples: Sequence[Example]
    prompts: Sequence[Prompt]
    references: Sequence[str]
    validation: ValidationSet
    suite: Suite


def evaluated(
    engine: Engine,
    tokenizer: AnyTokenizer,
    questions: Questions,
    scorer: Scorer,
    settings: EvaluationSettings,
    before: dict | None,
    base: dict | None,
) -> dict:
    """Return what is found of the engine's model. before, base: what this gave for the model that it was made from, and
    for the base; None where it is the base."""
    model, suite = engine.model, questions.suite
    how = Sampling(settings.max_new_tokens, settings.temperature, settings.seed)
    metrics: dict = {"stage": settings.stage} | instruction_loss(model, questions.examples)
    progress(f"{settings.stage}: held-out loss {metrics['held_out_loss']['value']:.3f}")

    answers = answered(engine, tokenizer, questions.prompts, how, FORMAT)
    ratings = rewards_of(scorer, questions.prompts, answers)
    rows = [row_of(answer, rating) for answer, rating in zip(answers, ratings, strict=True)]
    metrics |= {"reward": estimate(ratings), "answer_tokens": estimate([len(answer.tokens) for answer in answers])}
    if before is not None:
        metrics |= compared(ratings, [row["tokens"] for row in rows], before["answers"])
    metrics["format"] = compliance(answers, suite.format, control_ids(tokenizer))

    refused, refusals = refusal(engine, tokenizer, suite.refusal, how)
    metrics["refusal"] = refused

    bits = validation_bits(model, questions.validation, settings.validation_tokens)
    metrics["bits_per_byte"] = bits_per_byte(bits)
    if base is not None:
        metrics["alignment_tax"] = tax(bits, base["validation"])

    metrics["tasks"] = {}
    for number, task in enumerate(suite.tasks, 1):
        found = metrics["tasks"][task.name] = asked(engine, tokenizer, task)
        progress(f"{settings.stage}: {task.name} {found['accuracy']['value']:.0%}  {number}/{len(suite.tasks)}")
    if suite.tasks:
        metrics["centred"] = mean_of(metrics["tasks"])
    shown = [*zip(answers[: settings.samples], questions.references, strict=False), *((one, "") for one in refusals)]
    return {
        "metrics": metrics,
        "answers": rows,
        "samples": samples(settings.stage, shown, before),
        "validation": bits,
    }


def refusal(
    engine: Engine, tokenizer: AnyTokenizer, told: Refusal, how: Sampling
) -> tuple[dict[str, dict], list[Answer]]:
    """Return how often prompts of each sort are refused, and the answer to the first of each."""
    sorts = {name: getattr(told, name) for name in ("harmful", "benign") if getattr(told, name)}
    prompts = prompts_of(tokenizer, [prompt for some in sorts.values() for prompt in some])
    answers = answered(engine, tokenizer, prompts, how, REFUSAL)
    found, shown, start = {}, [], 0
    for name, some in sorts.items():
        own = answers[start : start + len(some)]
        start += len(some)
        found[name] = estimate([float(is_refusal(answer.text, told.phrases)) for answer in own])
        shown.append(own[0])
    return found, shown


def row_of(answer: Answer, reward: float) -> dict:
    return {
        "prompt": answer.prompt,
        "answer": answer.text,
        "tokens": len(answer.tokens),
        "ended": answer.ended,
        "reward": reward,
    }


def samples(stage: str, shown: Sequence[tuple[Answer, str]], before: dict | None) -> list[dict]:
    """Return answers to the same prompts side by side: of the models before, and of this one under its name."""
    earlier = before["samples"] if before is not None else [{} for _ in shown]
    return [
        other | {"prompt": answer.prompt, "reference": reference, stage: answer.text}
        for (answer, reference), other in zip(shown, earlier, strict=True)
    ]
