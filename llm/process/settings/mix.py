"""What scripts/process/mix.py is told."""

from dataclasses import dataclass

from llm.settings import key

TIER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["top_fraction", "factor"],
    "properties": {
        "top_fraction": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "factor": {"type": "number", "minimum": 0},
    },
}


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How often each part of the corpus is read."""

    weights: dict = key({}, additionalProperties={"type": "number", "minimum": 0, "maximum": 1})
    """Domain -> share of the bytes, e.g. {encyclopedic: 0.4}; domains not named share the rest as it comes."""
    epochs: dict = key({}, additionalProperties={"type": "number", "minimum": 0})
    """Instead of weights: domain -> how often it is read, e.g. {encyclopedic: 3.4, web: 0.44}; 1 where not named."""
    quality: list = key([], items=TIER)
    """E.g. [{top_fraction: 0.2, factor: 3}]: the best fifth of each domain is read three times as often; the rest has
    factor 1."""
    bytes: int | None = key(None, minimum=1)
    """Size of the plan; null: that of the training split."""


@dataclass(frozen=True, kw_only=True)
class MixSettings(Shares):
    """The slice."""

    seed: int
