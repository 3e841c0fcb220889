"""What scripts/process/minhash.py is told."""

from dataclasses import dataclass

from llm.process.settings.shingles import Shingles
from llm.settings import key


@dataclass(frozen=True)
class Signatures(Shingles):
    """MinHash signatures, which near-duplicates are found by."""

    permutations: int = key(112, minimum=1)
    """Components of a signature: the error of the Jaccard estimate is at most 0.5 / sqrt(permutations)."""


@dataclass(frozen=True)
class Bands:
    """Which pairs become candidates."""

    bands: int = key(28, minimum=1)
    """bands * rows <= permutations."""
    rows: int = key(4, minimum=1)
    """A pair of similarity s is found with 1 - (1 - s^rows)^bands."""


@dataclass(frozen=True, kw_only=True)
class MinhashSettings(Bands, Signatures):
    """The slice."""

    seed: int = 0
