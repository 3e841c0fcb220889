"""What scripts/deploy/quantize.py is told."""

from dataclasses import dataclass
from typing import Literal

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to quantize, by its name."""

    bits: Literal[4, 8] = key()
    """Of a weight."""
    group_size: int | None = key(None, minimum=1)
    """Weights that share a scale, made smaller where it does not divide the layers' widths; null: an output channel."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What is scored before and after."""

    validation_tokens: int | None = key(2048, minimum=1)
    """Of each source, scored before and after; null: all."""


@dataclass(frozen=True, kw_only=True)
class QuantizeSettings(Method, Scoring):
    """The slice."""
