"""An answer of the policy that is trained, with what was found of it, and what several of them have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm.align.policy import Sequences, sequences_of


@dataclass(frozen=True)
class Answer:
    """One answer. prompt: its number among the prompts. tokens: with the [EOS] that ends it, unless it was cut off
    (`finished`). log_probs, reference: of the tokens. rewards: of each function. reward: their weighted sum, less
    penalties. advantages: of the tokens. values, returns: what a critic expected before each token, and what it should
    have; empty without one."""

    prompt: int
    tokens: list[int]
    log_probs: list[float]
    finished: bool
    text: str
    rewards: list[float]
    reward: float
    reference: list[float] = field(default_factory=list)
    advantages: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)


def joined(groups: Sequence[Sequence[Answer]]) -> list[Answer]:
    """Return the answers of all groups, in order."""
    return [answer for group in groups for answer in group]


def padded_answers(answers: Sequence[Answer], prompts: Sequence[Sequence[int]], pad: int) -> Sequences:
    """Return each answer behind its prompt's tokens."""
    texts = [[*prompt, *answer.tokens] for prompt, answer in zip(prompts, answers, strict=True)]
    return sequences_of(texts, list(map(len, prompts)), pad)


def seen_of(answer: Answer) -> list[float]:
    """Return what is logged of an answer: `Rollouts.seen`."""
    return [answer.reward, float(len(answer.tokens)), float(answer.finished), *answer.rewards]


def overlong(tokens: int, most: int, last: int) -> float:
    """Return the penalty of an answer's length, which grows from 0 to 1 over the `last` of `most` tokens (DAPO, Yu et
    al. 2025, equation 13)."""
    return max(0.0, tokens - (most - last)) / last if last else 0.0


def ratio_of(answer: Answer) -> float:
    """Return log p/ref of the answer, the estimate k1 of the KL divergence, which is not biased."""
    return math.fsum(answer.log_probs) - math.fsum(answer.reference)


def distance_of(groups: Sequence[Sequence[Answer]]) -> float:
    """Return the mean of log p/ref over all tokens, in nats."""
    answers = joined(groups)
    return math.fsum(map(ratio_of, answers)) / sum(len(answer.tokens) for answer in answers)
