"""What the scripts of constitutional AI are told. It imports no torch."""

from dataclasses import dataclass
from typing import Literal

from llm.settings import key

Labels = Literal["principles", "random"]
COUNT = {"type": "integer", "minimum": 1}


@dataclass(frozen=True, kw_only=True)
class Answering:
    """How a model answers."""

    temperature: float = key(1.0, minimum=0)
    """Of all that it writes; 0: the likeliest token."""
    max_new_tokens: int = key(48, minimum=1)
    """Of an answer, and of a revision."""


@dataclass(frozen=True, kw_only=True)
class CritiqueKeys(Answering):
    """Answers, critiques and revisions."""

    prompts: dict[Literal["train", "validation"], int] = key(
        {"train": 128, "validation": 32}, additionalProperties=COUNT
    )
    """Prompts at most that are answered, of each split; the next of a hash's order."""
    critique_tokens: int = key(24, minimum=1)
    """Of a critique."""


@dataclass(frozen=True, kw_only=True)
class CritiqueSettings(CritiqueKeys):
    """The slice of critiques."""

    seed: int


@dataclass(frozen=True, kw_only=True)
class RevisionSettings:
    """The slice of revisions. labels: random is the control: a coin says which answer is learned, and figures are of
    principles that were not asked by."""

    labels: Labels
    seed: int


@dataclass(frozen=True, kw_only=True)
class FeedbackKeys:
    """Preferences."""

    prefer: Literal["revised", "judged", "agreed"] = key("revised")
    """revised: the revision over the first answer; judged: the answer that the model chooses; agreed: the revision
    where the model chooses it too."""


@dataclass(frozen=True, kw_only=True)
class FeedbackSettings(FeedbackKeys, RevisionSettings):
    """The slice of ai_preferences."""


@dataclass(frozen=True, kw_only=True)
class AdherenceKeys(Answering):
    """Answers to held-out prompts, of which the exact tests say how many follow each principle."""

    samples: int = key(4, minimum=1)
    """Answers to a prompt."""


@dataclass(frozen=True, kw_only=True)
class AdherenceSettings(AdherenceKeys):
    """The slice of adherence."""

    held_out: int
    seed: int
