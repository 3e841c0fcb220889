"""Losses on text that was held out: the instruction pairs' answers, and what pretraining was validated on."""

import math
from collections.abc import Sequence

import numpy as np

from llm.align.batches import Example
from llm.evaluate.likelihood import log_probs_of
from llm.evaluate.statistics import ratio, weighted
from llm.model.transformer import CausalLM
from llm.pretrain.evaluate import ValidationSet

WINDOW = 1024  # tokens at most that are scored at once, whatever the model's context


def instruction_loss(model: CausalLM, examples: Sequence[Example]) -> dict:
    """Return the mean -log p per response token in nats, [EOS] included, and by kind."""
    learned = [example.mask[1:] for example in examples]
    scores = log_probs_of(model, [example.ids for example in examples])
    sums = [-float(score[mask].sum()) for score, mask in zip(scores, learned, strict=True)]
    sizes = [int(mask.sum()) for mask in learned]
    by_kind = {}
    for kind in sorted({example.kind for example in examples}):
        own = [number for number, example in enumerate(examples) if example.kind == kind]
        by_kind[kind] = ratio([sums[number] for number in own], [sizes[number] for number in own])
    return {"held_out_loss": ratio(sums, sizes), "held_out_loss_by_kind": by_kind}


def validation_bits(model: CausalLM, validation: ValidationSet, limit: int | None) -> dict[str, dict]:
    """Return of each source {"weight": tokens per byte of all the corpus, "bits": of each window, a token}: what
    bits_per_byte of llm/pretrain/evaluate.py sums, kept apart so that two models can be compared window by window."""
    length = min(model.config.context_length, WINDOW)
    all_bytes = sum(meta["validation"]["bytes"] for meta in validation.metas.values())
    found = {}
    for source, meta in validation.metas.items():
        windows = validation.windows(source, length, model.config.eos_id, limit)
        scores = log_probs_of(model, windows)
        tokens = np.array([len(score) for score in scores])
        # A window that is shorter counts less: the mean over windows is that over tokens.
        bits = [-float(score.sum()) / math.log(2) / tokens.mean() for score in scores]
        found[source] = {"weight": meta["validation"]["tokens"] / all_bytes, "bits": bits}
    return found


def bits_per_byte(bits: dict[str, dict]) -> dict:
    """Return bits per byte of the validation set."""
    return weighted([(each["weight"], each["bits"]) for each in bits.values()])


def tax(bits: dict[str, dict], base: dict[str, dict]) -> dict:
    """Return by how many bits per byte a model is worse than its base; the error is that of the differences, since both
    have read the same windows."""
    differences = [
        (each["weight"], np.subtract(each["bits"], base[source]["bits"]).tolist()) for source, each in bits.items()
    ]
    return weighted(differences)
