"""What the scripts that train reference models all are told."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What all of them read."""

    sample_bytes: int = key(32_000_000, minimum=1000, shown=False)
    """How much text a model learns from (a classifier: of each class)."""
