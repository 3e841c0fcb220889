"""What scripts/deploy/generate.py is told."""

from dataclasses import dataclass

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Questions and how they are answered."""

    prompts: list[str] = key()
    """What results/serve/answers.json answers."""
    max_new_tokens: int = key(48, minimum=1, shown=False)
    """Of an answer."""
    temperature: float = key(0.0, minimum=0, shown=False)
    """0: greedy."""
    top_k: int = key(0, minimum=0, shown=False)
    """0: off."""
    top_p: float = key(1.0, exclusiveMinimum=0, maximum=1, shown=False)
    """1: off."""
    repetition_penalty: float = key(1.2, exclusiveMinimum=0)
    """As in transformers: of tokens that the prompt or the answer has already; 1: off."""


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(Sampling):
    """The slice."""

    seed: int = 0
