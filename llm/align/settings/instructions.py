"""What scripts/align/instructions.py is told."""

from dataclasses import dataclass
from typing import Literal

from llm.settings import key

Kind = Literal["definition", "passage", "docstring", "function", "continuation"]
COUNT = {"type": "integer", "minimum": 0}


@dataclass(frozen=True)
class Limits:
    """In characters."""

    min_answer: int = key(40, minimum=1)
    """A shorter answer gives no pair."""
    max_answer: int = key(240, minimum=1)
    """Nor does a longer one."""
    max_prompt: int = key(240, minimum=1)
    """Nor a longer prompt."""


@dataclass(frozen=True, kw_only=True)
class InstructionKeys:
    """Pairs of a question and an answer, derived from the clean documents."""

    kinds: dict[Kind, list[str]] = key()
    """For each kind the sources or domains it is derived from; ["*"]: all."""
    train_counts: dict[Kind, int] = key(additionalProperties=COUNT)
    """Pairs at most of each kind."""
    validation_counts: dict[Kind, int] = key(additionalProperties=COUNT)
    """Pairs at most of each kind."""
    limits: Limits = key(Limits())
    """Characters."""
    languages: list[str] = key(["en"])
    """Of definitions, passages and continuations."""


@dataclass(frozen=True, kw_only=True)
class InstructionSettings(InstructionKeys):
    """The slice."""

    seed: int
