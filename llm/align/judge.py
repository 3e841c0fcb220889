"""Asks a model which of two answers it prefers, by how likely it finds each choice (Bai et al. 2022, section 4.1).

Both orders are asked, and their log odds averaged: whatever the model adds to the first of two, or to the letter A,
whoever stands there, is added once and taken away once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm.align.critiques import Speaker
from llm.inference.sequence import Request

QUESTION = "{choice}\n\nQuestion: {prompt}\n\nAnswer A: {a}\n\nAnswer B: {b}\n\nSay A or B."
LETTERS = ("A", "B")


@dataclass(frozen=True)
class Verdict:
    """Log-probabilities of A and of B: with the first answer as A, and with the answers the other way round."""

    straight: tuple[float, float]
    turned: tuple[float, float]

    @property
    def log_odds(self) -> float:
        """Of the first answer over the second, the mean of both orders."""
        return ((self.straight[0] - self.straight[1]) + (self.turned[1] - self.turned[0])) / 2

    @property
    def bias(self) -> float:
        """The log odds of A over B that are there whatever the answers."""
        return ((self.straight[0] - self.straight[1]) + (self.turned[0] - self.turned[1])) / 2

    @property
    def consistent(self) -> bool:
        """Do both orders prefer the same answer?"""
        return (self.straight[0] > self.straight[1]) == (self.turned[1] > self.turned[0])


@dataclass(frozen=True)
class Comparison:
    """choice: what is asked of the two answers to the prompt."""

    choice: str
    prompt: str
    first: str
    second: str

    def messages(self, turned: bool) -> list[dict]:
        """Return what the model is asked, with the answers in one order or the other."""
        a, b = (self.second, self.first) if turned else (self.first, self.second)
        return [{"role": "user", "content": QUESTION.format(choice=self.choice, prompt=self.prompt, a=a, b=b)}]


def verdicts(speaker: Speaker, comparisons: Sequence[Comparison]) -> list[Verdict | None]:
    """Return a verdict on each pair; None where the question is longer than the model's context."""
    letters = [speaker.tokenizer.encode(letter) for letter in LETTERS]
    room = max(map(len, letters))
    prompts = [[speaker.prompt(each.messages(turned), room) for turned in (False, True)] for each in comparisons]
    fitting = [place for place, both in enumerate(prompts) if None not in both]
    requests = [
        Request([*ids, *letter], 0, prompt_logprobs=0)
        for place in fitting
        for ids in prompts[place]
        if ids is not None
        for letter in letters
    ]
    outputs = iter(speaker.engine.generate(requests))
    found: list[Verdict | None] = [None] * len(comparisons)
    for place in fitting:
        sides = [tuple(sum(next(outputs).prompt_logprobs[-len(letter) :]) for letter in letters) for _ in range(2)]
        found[place] = Verdict((sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]))
    return found
