"""What scripts/align/paired.py is told, by method. It imports no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from llm.align.settings.adapter import AdapterSettings
from llm.settings import key

Loss = Literal["dpo", "ipo", "simpo", "orpo"]
PAIRED = get_args(Loss)


@dataclass(frozen=True, kw_only=True)
class Strength:
    """Beside what every adapter is told."""

    beta: float = key(0.1, exclusiveMinimum=0)
    """DPO, IPO, KTO: weight of the KL divergence from the reference model. SimPO: scale. ORPO: weight of the odds."""


@dataclass(frozen=True, kw_only=True)
class Margin:
    """Beside what every adapter is told."""

    margin: float = key(0.0, minimum=0)
    """SimPO's gamma: by how much the chosen side's reward is to exceed the other's."""


@dataclass(frozen=True, kw_only=True)
class Precomputed:
    """Beside what every adapter is told."""

    precompute_reference: bool = key(False, shown=False)
    """The reference rates all pairs once, before training: faster in all where pairs are seen more than once."""


@dataclass(frozen=True, kw_only=True)
class PairedSettings(Margin, Precomputed, Strength, AdapterSettings):
    """The slice."""

    loss: Loss
