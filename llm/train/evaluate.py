"""Validation in bits per byte: comparable between tokenizers, unlike loss per token.

bits per byte = sum over all tokens, each document's [EOS] included, of -log2 p(token | up to T tokens before it),
divided by the utf-8 bytes of the text. Every token is predicted once, in windows that do not overlap, so a token sees
T / 2 others on average. A sample estimates a source's bits from its mean bits per token.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

from llm.model.config import ModelConfig
from llm.train.data import ValidationSet

WINDOWS_PER_BATCH = 32
Losses = Callable[[torch.Tensor], torch.Tensor]
"""int64 [B, T + 1] -> -ln p of every target, fp32 [B * T]."""


def bits_per_byte(losses: Losses, config: ModelConfig, validation: ValidationSet, limit: int | None) -> dict:
    """{"bpb", "by_domain": {domain: bpb}, "tokens": evaluated}; `limit` is the number of tokens per source or None."""
    bits: dict[str, float] = {}
    size: dict[str, int] = {}
    evaluated = 0
    for source, meta in validation.metas.items():
        windows = validation.windows(source, config.context_length, config.eos_id, limit)
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
    """Sum of -ln p over the targets of `windows` (T + 1 tokens each, shorter ones come last) and their number."""
    nats, tokens = 0.0, 0
    full = [window for window in windows if len(window) == len(windows[0])]
    batches = [full[start : start + WINDOWS_PER_BATCH] for start in range(0, len(full), WINDOWS_PER_BATCH)]
    batches += [[window] for window in windows[len(full) :]]
    for batch in batches:
        batch_losses = losses(torch.from_numpy(np.stack(batch)))
        nats += float(batch_losses.double().sum())
        tokens += batch_losses.numel()
    return nats, tokens
