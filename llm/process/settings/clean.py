"""What scripts/process/clean.py is told."""

from dataclasses import dataclass
from typing import Literal

from llm.process.quality.signal_names import FILTERED
from llm.settings import key

SIGNAL = {"enum": list(FILTERED)}
NUMBER = {"type": ["number", "null"]}
BOUND = {
    "anyOf": [
        {"type": "null"},
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                **dict.fromkeys(("min", "above", "max", "below"), NUMBER),
                "in": {"type": "array", "items": {"type": "string"}},
            },
        },
    ]
}
"""min, max: a value equal to it stays; above, below: it does not; null: no such bound."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a document must be like, and what becomes of personal data in it."""

    thresholds: dict = key(additionalProperties=BOUND, propertyNames=SIGNAL)
    """A document is kept if every signal named here is within its bounds, bounds included (null: no bound)."""
    pii: dict[
        Literal["email", "phone", "ssn", "credit_card", "iban", "ipv4", "ipv6", "name"],
        Literal["redact", "drop", "report"],
    ] = key(dict.fromkeys(("email", "phone", "ssn", "credit_card", "iban", "ipv4", "ipv6"), "redact"))
    """Personal data by kind: redact, drop or report; name: of persons, near words of health, crime, money or identity,
    found by a slow model."""
    validation_fraction: float = key(0.03, exclusiveMinimum=0, exclusiveMaximum=1)
    """Of the documents, by hash of their duplicate cluster."""


@dataclass(frozen=True, kw_only=True)
class CleanSettings(Policy):
    """The slice."""

    overrides: dict
    """Of the source's domain."""
    seed: int
