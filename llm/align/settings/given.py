"""What scripts/align/given.py is told. It imports no torch."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class GivenKeys:
    """Items that others wrote, in files of a source."""

    source: str = key()
    """Of `sources`, not in corpus."""
    include: list[str] = key(minItems=1)
    """Globs over the names of its files: .json (a list, or one in `examples`), .jsonl, .parquet, .txt (prompts)."""
    held_out: float = key(0.1, exclusiveMinimum=0, exclusiveMaximum=1)
    """Share of the prompts, whose items are for validation."""
    near: float | None = key(0.8, exclusiveMinimum=0, maximum=1)
    """Prompts whose words are alike to this share (Jaccard similarity) are on one side; null: equal ones alone."""
    limit: int | None = key(None, minimum=2)
    """Items at most, the first by a hash; null: all."""


@dataclass(frozen=True, kw_only=True)
class GivenSettings(GivenKeys):
    """The slice. The last three are those of process.decontaminate."""

    seed: int
    ngram: int
    min_words: int
    min_hits: int
