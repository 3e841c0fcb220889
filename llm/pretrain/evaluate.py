"""Measures validation loss in bits per byte, which is comparable between tokenizers, unlike loss per token.

bits per byte = sum over all tokens, each document's [BOS] and [EOS] included, of -log2 p(token | up to T tokens before
it), divided by the utf-8 bytes of the text. Every token is predicted once, in windows that do not overlap, so a token
sees T / 2 others on average. A sample estimates a source's bits from its mean bits per token.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.tokenize.indexed import IndexedTokens, check_ids

WINDOWS_PER_BATCH = 32
Losses = Callable[[torch.Tensor], torch.Tensor]
"""losses(tokens): -ln p of every target of int64 [B, T + 1], fp32 [B, T]."""


def bits_per_byte(losses: Losses, config: ModelConfig, validation: "ValidationSet", limit: int | None) -> dict:
    """Return {"bpb", "by_domain": {domain: bpb}, "tokens": evaluated}; `limit`: tokens per source, or None for all."""
    bits: dict[str, float] = {}
    size: dict[str, int] = {}
    evaluated = 0
    for source, meta in validation.metas.items():
        windows = validation.windows(source, config.context_length, config.eos_id, limit)
        check_ids(np.concatenate(windows), config.vocab_size, f"validation tokens of {source}")
        nats, tokens = window_losses(losses, windows)
        domain, held_out = meta["domain"], meta["validation"]
        bits[domain] = bits.get(domain, 0.0) + nats / tokens * held_out["tokens"] / math.log(2)
        size[domain] = size.get(domain, 0) + held_out["bytes"]
        evaluated += tokens
    return {
        "bpb": sum(bits.values()) / sum(size.values()),
        "by_domain": {domain: bits[domain] / size[domain] for domain in sorted(bits)},
        "tokens": evaluated,
    }


def window_losses(losses: Losses, windows: list[np.ndarray]) -> tuple[float, int]:
    """Return the sum of -ln p over the targets of `windows` (T + 1 tokens each, shorter ones last), and their
    number."""
    nats, tokens = 0.0, 0
    full = [window for window in windows if len(window) == len(windows[0])]
    batches = [full[start : start + WINDOWS_PER_BATCH] for start in range(0, len(full), WINDOWS_PER_BATCH)]
    batches += [[window] for window in windows[len(full) :]]
    for batch in batches:
        batch_losses = losses(torch.from_numpy(np.stack(batch)))
        nats += float(batch_losses.double().sum())
        tokens += batch_losses.numel()
    return nats, tokens


class ValidationSet:
    """The held-out documents of every source, each source's joined end to end in clean order."""

    def __init__(self, tokens_dir: Path) -> None:
        self.metas: dict[str, dict] = {}
        self.tokens: dict[str, np.ndarray] = {}
        for path in sorted(Path(tokens_dir).glob("*/meta.json")):
            meta = json.loads(path.read_text(encoding="utf-8"))
            shard = IndexedTokens(path.parent / "validation")
            if not len(shard.tokens):
                continue
            self.metas[meta["source"]] = meta
            self.tokens[meta["source"]] = shard.tokens
        if not self.tokens:
            raise InputError(
                f"{tokens_dir}: no source has validation tokens; raise process.validation_fraction or add text, "
                "a model cannot be judged without them"
            )

    def windows(self, source: str, context_length: int, eos: int, limit: int | None) -> list[np.ndarray]:
        """Return pieces of T + 1 tokens (the last may be shorter) that predict every token of the source once, the
        first from an [EOS]. With a limit, evenly spaced whole windows of about that many tokens."""
        stream = np.concatenate(([eos], self.tokens[source])).astype(np.int64)
        starts = np.arange(0, len(stream) - 1, context_length)
        wanted = len(starts) if limit is None else max(1, min(len(starts), limit // context_length))
        chosen = starts[np.arange(wanted) * len(starts) // wanted]
        return [stream[start : start + context_length + 1] for start in chosen]
