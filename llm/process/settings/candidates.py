"""What scripts/process/candidates.py is told."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True)
class CandidatesSettings:
    """The slice."""

    max_bucket: int = key(50, minimum=2)
    """Of a larger bucket only so many members are compared with all others."""
