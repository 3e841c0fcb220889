"""What scripts/align/kto.py is told. It imports no torch."""

from dataclasses import dataclass

from llm.align.settings.adapter import AdapterSettings
from llm.align.settings.paired import Strength
from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Beside what every adapter is told."""

    desirable_weight: float = key(1.0, exclusiveMinimum=0)
    """Of good answers; with the other, one to four thirds times as much in all as bad ones have."""
    undesirable_weight: float = key(1.0, exclusiveMinimum=0)
    """Of bad answers."""


@dataclass(frozen=True, kw_only=True)
class KtoSettings(Weights, Strength, AdapterSettings):
    """The slice."""
