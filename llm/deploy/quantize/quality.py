"""What quantization costs: bits per byte and perplexity by domain, and how far next-token distributions move.

Legend: B windows, T tokens, V vocabulary.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from llm.model.transformer import CausalLM
from llm.pretrain.evaluate import ValidationSet, bits_per_byte
from llm.pretrain.loss import token_losses

WINDOW = 1024  # tokens at most that are scored at once, whatever the model's context
ROWS = 128  # positions whose logits are held at once
KL_WINDOWS = 2  # of each source


def quality(model: CausalLM, validation: ValidationSet, limit: int | None) -> dict:
    """Return {"bits_per_byte", "perplexity" per token, "by_domain": bits per byte, "perplexity_by_domain", "tokens"
    scored}, in fp32."""
    config = replace(model.config, context_length=min(model.config.context_length, WINDOW))
    result = bits_per_byte(partial(losses, model), config, validation, limit)
    metas = list(validation.metas.values())
    return {
        "bits_per_byte": result["bpb"],
        "by_domain": result["by_domain"],
        "perplexity": 2 ** (result["bpb"] * bytes_per_token(metas)),
        "perplexity_by_domain": {
            domain: 2 ** (bpb * bytes_per_token([meta for meta in metas if meta["domain"] == domain]))
            for domain, bpb in result["by_domain"].items()
        },
        "tokens": result["tokens"],
    }


def bytes_per_token(metas: list[dict]) -> float:
    """Return how many bytes of validation text a token stands for, over the sources that these describe."""
    held_out = [meta["validation"] for meta in metas]
    return sum(counts["bytes"] for counts in held_out) / sum(counts["tokens"] for counts in held_out)


def losses(model: CausalLM, tokens_BT: torch.Tensor) -> torch.Tensor:
    """Return -ln p of every target of int64 [B, T + 1], fp32 [B * T]."""
    tokens_BT = tokens_BT.to(model.device)
    with torch.no_grad():
        return token_losses(
            model.hidden(tokens_BT[:, :-1]).flatten(0, 1), model.output_weight, tokens_BT[:, 1:].flatten()
        )


def divergence(model: CausalLM, other: CausalLM, validation: ValidationSet) -> dict[str, float]:
    """Return KL(model || other) of the next-token distributions in nats, by domain, averaged over the positions of a
    few validation windows of each source."""
    length = min(model.config.context_length, WINDOW // 4)
    sums: dict[str, list[float]] = {}
    for source, meta in validation.metas.items():
        windows = validation.windows(source, length, model.config.eos_id, KL_WINDOWS * length)
        for window in windows:
            tokens_1T = torch.from_numpy(np.asarray(window[:-1]))[None].to(model.device)
            sums.setdefault(meta["domain"], []).extend(position_divergences(model, other, tokens_1T))
    return {domain: sum(values) / len(values) for domain, values in sorted(sums.items())}


@torch.no_grad()
def position_divergences(model: CausalLM, other: CausalLM, tokens_1T: torch.Tensor) -> list[float]:
    """Return KL(model || other) at each position."""
    pairs = zip(model.hidden(tokens_1T)[0].split(ROWS), other.hidden(tokens_1T)[0].split(ROWS), strict=True)
    found: list[float] = []
    for one_TD, two_TD in pairs:
        p_TV = (one_TD @ model.output_weight.T).log_softmax(-1)
        q_TV = (two_TD @ other.output_weight.T).log_softmax(-1)
        found += (p_TV.exp() * (p_TV - q_TV)).sum(-1).tolist()
    return found
