"""What scripts/process/perplexity_model.py is told."""

from dataclasses import dataclass

from llm.process.settings.sample import Sample
from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class PerplexitySettings(Sample):
    """The slice."""

    order: int = key(3, minimum=2, maximum=5, shown=False)
    """Words in an n-gram."""
    vocabulary: int = key(1_000_000, minimum=1, maximum=2_000_000, shown=False)
    """Words of the n-gram model at most, the most frequent ones."""
    prune: bool = key(True, shown=False)
    """N-grams of three words and more that occurred once are dropped."""
