"""What scripts/process/names.py is told."""

from dataclasses import dataclass
from typing import Literal

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class NamesSettings:
    """The slice."""

    names: Literal["sensitive", "everywhere"] = key("sensitive", shown=False)
    """Where names of persons are looked for, if pii.name says what becomes of them: near words of health, crime, money
    or identity, or in all of the text, at 0.04 MB/s."""
