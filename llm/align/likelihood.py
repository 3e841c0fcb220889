"""Computes how likely a model finds the responses of a batch: what SFT minimises and DPO compares.

Only the positions that predict a response token reach the output layer, which is a third of the work of a small model.
Shapes: B sequences, T tokens, N response tokens of the whole batch, D d_model, V vocabulary.
"""

import torch.nn.functional as F
from torch import Tensor

from llm.align.batches import Batch
from llm.align.packing import packed_hidden
from llm.model.transformer import CausalLM


def response_logits(model: CausalLM, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return fp32 logits [N, V] for the batch's response tokens, row by row, and the tokens themselves [N]."""
    target_BT = batch.mask_BT[:, 1:]
    if batch.packed:  # a row's last token predicts nothing
        x_RD, real_BT = packed_hidden(model, batch.tokens_BT[:, :-1], batch.length_B - 1)
        x_ND = x_RD[target_BT[real_BT]]
    else:
        x_ND = model.hidden(batch.tokens_BT[:, :-1])[target_BT]
    logits_NV = F.linear(x_ND, model.output_weight)
    return logits_NV.float(), batch.tokens_BT[:, 1:][target_BT]


def response_log_probs(model: CausalLM, batch: Batch) -> Tensor:
    """Return log p(response | prompt) of each sequence in nats: fp32 [B], summed over its tokens with their [EOS]."""
    logits_NV, target_N = response_logits(model, batch)
    return sum_rows(-F.cross_entropy(logits_NV, target_N, reduction="none"), batch)


def sum_rows(values_N: Tensor, batch: Batch) -> Tensor:
    """Sum what belongs to each sequence: [N] -> [B]."""
    values_BT = values_N.new_zeros(batch.mask_BT[:, 1:].shape)
    values_BT = values_BT.masked_scatter(batch.mask_BT[:, 1:], values_N)
    return values_BT.sum(1)


def response_lengths(batch: Batch) -> Tensor:
    """Return the number of response tokens of each sequence: int64 [B]."""
    return batch.mask_BT[:, 1:].sum(1)
