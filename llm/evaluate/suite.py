"""What models are asked, with all items in place: results/evaluation/questions.json. It imports no torch."""

from dataclasses import asdict, dataclass
from typing import Literal

from llm.settings import key, made


@dataclass(frozen=True, kw_only=True)
class Question:
    """prompt: as it is asked, shots included. choices and the number of the right one (`choice`), or texts each of
    which is a right answer (`exact`)."""

    prompt: str
    choices: list[str] = key([])
    answer: int = 0
    targets: list[str] = key([])


@dataclass(frozen=True, kw_only=True)
class Task:
    """kind: choice, the likeliest of several continuations counts; exact, a greedy answer up to the end of its line is
    one of the targets. asked: text, behind [BOS]; chat, as a user's message. per_byte: likelihoods of choices are taken
    per byte. baseline: accuracy of guessing; None: one in so many choices."""

    name: str
    kind: Literal["choice", "exact"]
    asked: Literal["text", "chat"] = "text"
    per_byte: bool = False
    baseline: float | None = key(None, minimum=0, exclusiveMaximum=1)
    questions: list[Question] = key([])


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """phrases: an answer with one of them is a refusal. harmful, benign: prompts."""

    phrases: list[str] = key([])
    harmful: list[str] = key([])
    benign: list[str] = key([])


@dataclass(frozen=True, kw_only=True)
class Suite:
    """All of it, resolved."""

    format: dict = key({})
    refusal: Refusal = Refusal()
    tasks: list[Task] = key([])


def as_json(suite: Suite) -> dict:
    return asdict(suite)


def from_json(value: dict) -> Suite:
    """Return what `as_json` gave."""
    return made(Suite, value)
