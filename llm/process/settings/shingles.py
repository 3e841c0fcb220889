"""What signatures and exact similarity both depend on."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True)
class Shingles:
    """The sets that documents are compared by."""

    shingle_words: int = key(5, minimum=1)
    """Words in a shingle."""
