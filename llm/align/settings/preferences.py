"""What scripts/align/preferences.py is told."""

from dataclasses import dataclass
from typing import Literal

from llm.settings import key

Fault = Literal["irrelevant", "shuffled", "repetitive", "truncated", "rambling"]
COUNT = {"type": "integer", "minimum": 0}


@dataclass(frozen=True, kw_only=True)
class PreferenceKeys:
    """Pairs of a good answer and a spoilt one."""

    train_counts: dict[Fault, int] = key(additionalProperties=COUNT)
    """Pairs at most of each fault of the rejected answer."""
    validation_counts: dict[Fault, int] = key(additionalProperties=COUNT)
    """Pairs at most of each fault of the rejected answer."""
    max_answer: int = key(280, minimum=1)
    """Characters of a rejected answer."""


@dataclass(frozen=True, kw_only=True)
class PreferenceSettings(PreferenceKeys):
    """The slice."""

    seed: int
