"""What scripts/deploy/calibration.py is told."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The text by which weights are quantized: of the training split, never of validation."""

    sequences: int = key(32, minimum=1)
    """In all, in equal parts from each domain."""
    length: int = key(128, minimum=2)
    """Tokens of a sequence; no more than model.context_length."""
    domains: list[str] | None = key(None)
    """Which domains; null: all. The figures of the others tell what is lost on text that calibration did not see."""


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings(Calibration):
    """The slice."""

    seed: int
