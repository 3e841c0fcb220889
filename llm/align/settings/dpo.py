"""What scripts/align/dpo.py is told."""

from dataclasses import dataclass

from llm.align.settings.adapter import AdapterSettings
from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Beside what every adapter is told."""

    beta: float = key(0.1, exclusiveMinimum=0)
    """Weight of the KL divergence from the reference model."""


@dataclass(frozen=True, kw_only=True)
class DpoSettings(Preference, AdapterSettings):
    """The slice."""
