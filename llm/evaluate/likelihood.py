"""Log-probabilities of texts by the engine's bytes, in batches: what the engine would say of a prompt, many at a time.

Legend: B texts of a batch, T tokens of its longest, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import torch

from llm.inference.training import log_probs
from llm.model.transformer import CausalLM

LOGITS = 1 << 23  # held at once, 32 MiB of fp32


@torch.inference_mode()
def log_probs_of(model: CausalLM, texts: Sequence[Sequence[int] | np.ndarray]) -> list[np.ndarray]:
    """Return of each text the log-probabilities of its tokens from the second on, in nats, fp64 [T - 1]. Padding stands
    behind a text, where a causal model does not see it, and a text's bytes do not depend on the others."""
    order = sorted(range(len(texts)), key=lambda index: (-len(texts[index]), index))
    found: list[np.ndarray] = [np.empty(0)] * len(texts)
    while order:
        longest = len(texts[order[0]])
        count = max(1, LOGITS // (longest * model.config.vocab_size))
        batch, order = order[:count], order[count:]
        tokens_BT = np.zeros((len(batch), longest), np.int64)
        for row, index in enumerate(batch):
            tokens_BT[row, : len(texts[index])] = texts[index]
        values_BT = log_probs(model, torch.from_numpy(tokens_BT).to(model.device)).double().cpu().numpy()
        for row, index in enumerate(batch):
            found[index] = values_BT[row, : len(texts[index]) - 1]
    return found
