"""What scripts/tokenize/tokenizer.py and fertility.py are told."""

from dataclasses import dataclass
from typing import Literal

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the tokenizer learns from, and its rival of another kind too: the slice of fertility."""

    sample_bytes: int = key(32_000_000, minimum=1000)
    """How much of the sampling plan's beginning the tokenizer is trained on."""


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings(Sample):
    """Stage 3. The tokenizer, trained once: docs/tokenize.md."""

    vocab_size: int = key(4096, minimum=300)
    """Ids in all: 8 control tokens and 256 bytes included."""
    character_coverage: float = key(0.9995, exclusiveMinimum=0, maximum=1)
    """The rarest characters stay bytes; byte_bpe needs none."""
    model_type: Literal["bpe", "unigram", "byte_bpe"] = key("byte_bpe", shown=False)
    """BPE over bytes with a word pattern, or SentencePiece's BPE or unigram."""
