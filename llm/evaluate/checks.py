"""Checks of an answer's form, as a table, and what counts as a refusal. They see an answer and nothing else of a model.

It imports no torch.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

SENTENCE_ENDS = ".!?…"
CLOSING = "\"'”’)]`»"
NGRAM = 4  # words


@dataclass(frozen=True)
class Answer:
    """prompt, text: as people read them. tokens: the model's, with the [EOS] that ends it, if one does (`ended`)."""

    prompt: str
    text: str
    tokens: Sequence[int]
    ended: bool


@dataclass(frozen=True)
class Check:
    """passes(answer, control ids, **bounds)."""

    passes: Callable[..., bool]
    bounds: tuple[str, ...] = ()


def ended(answer: Answer, controls: Collection[int]) -> bool:
    """Did the model end it, rather than the limit?"""
    return answer.ended


def sentence(answer: Answer, controls: Collection[int]) -> bool:
    """Does it end with a sentence's end? Brackets and quotation marks may close behind it."""
    text = answer.text.rstrip().rstrip(CLOSING)
    return bool(text) and text[-1] in SENTENCE_ENDS


def plain(answer: Answer, controls: Collection[int]) -> bool:
    """Is no token of it a control token, but for the [EOS] at its end?"""
    said = answer.tokens[:-1] if answer.ended else answer.tokens
    return not any(token in controls for token in said)


def words(answer: Answer, controls: Collection[int], least: int, most: int) -> bool:
    """Has it so many words?"""
    return least <= len(answer.text.split()) <= most


def repetition(answer: Answer, controls: Collection[int], most: float) -> bool:
    """Is no larger share of its 4-grams of words one that it has had before?"""
    said = answer.text.lower().split()
    grams = [tuple(said[start : start + NGRAM]) for start in range(len(said) - NGRAM + 1)]
    return not grams or 1 - len(set(grams)) / len(grams) <= most


CHECKS = {
    "ended": Check(ended),
    "sentence": Check(sentence),
    "plain": Check(plain),
    "words": Check(words, ("least", "most")),
    "repetition": Check(repetition, ("most",)),
}


def is_refusal(text: str, phrases: Sequence[str]) -> bool:
    """Does an answer have one of the phrases? Case and the form of apostrophes do not count."""
    plainly = text.replace("’", "'").lower()
    return any(phrase.replace("’", "'").lower() in plainly for phrase in phrases)
