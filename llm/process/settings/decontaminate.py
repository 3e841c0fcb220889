"""What scripts/process/decontaminate.py is told."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True)
class DecontaminateSettings:
    """The slice."""

    ngram: int = key(13, minimum=1, shown=False)
    """Words in an n-gram; contamination is the share of a document's n-grams that an evaluation set holds."""
    min_words: int = key(8, minimum=1, shown=False)
    """An item of fewer than ngram words is looked for as a whole, if it has so many."""
    min_hits: int = key(1, minimum=1, shown=False)
    """With fewer n-grams found a document counts as clean."""
