"""What scripts/process/edges.py is told."""

from dataclasses import dataclass

from llm.process.settings.shingles import Shingles
from llm.settings import key


@dataclass(frozen=True)
class Similarity:
    """Which candidates are duplicates."""

    threshold: float = key(0.8, exclusiveMinimum=0, maximum=1)
    """Jaccard similarity of the shingle sets, computed exactly for every pair found."""
    verify: bool = key(True, shown=False)
    """false: every pair found counts as a duplicate, no text is compared."""


@dataclass(frozen=True)
class EdgesSettings(Similarity, Shingles):
    """The slice."""
