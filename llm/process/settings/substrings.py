"""What scripts/process/substrings.py is told."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True)
class SubstringsSettings:
    """The slice."""

    min_bytes: int = key(minimum=32)
    """Least length of a stretch that is compared, 400 or so; what is shorter is never found."""
