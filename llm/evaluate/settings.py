"""What scripts/evaluate/ is told. It imports no torch."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class SuiteSettings:
    """The slice of scripts/evaluate/suite.py."""

    sources: list[str] = key([], uniqueItems=True, shown=False)
    """Sources, not in corpus, whose archives the suite's tasks are read from."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class EvaluationKeys:
    """How much is asked of every model."""

    prompts: int = key(32, minimum=1)
    """Held-out instructions that are answered, for the format and the win rate."""
    max_new_tokens: int = key(64, minimum=1)
    """Of an answer."""
    temperature: float = key(0.7, minimum=0)
    """Of answers, to the suite's prompts too; 0: greedy. Every prompt has its own seed, the same for all models."""
    validation_tokens: int | None = key(1024, minimum=1)
    """Of each source of the corpus, for the bits per byte; null: all."""
    samples: int = key(6, minimum=1, shown=False)
    """Answers that are shown beside those of the models before."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(EvaluationKeys):
    """The slice of scripts/evaluate/evaluate.py. stage: the model's name. max_tokens: of a conversation."""

    stage: str
    max_tokens: int
    seed: int
