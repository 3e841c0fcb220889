"""Gives training the engine's bytes: a forward pass with a gradient whose log-probabilities are those that the engine
said, so that the ratio of a policy to itself is exactly 1.

It differs from the model's plain forward pass in the order in which attention adds, and pads the tokens to a multiple
of 8, on some processors to 16 at least. docs/inference.md says what it costs. The engine must compute in the same dtype
(under the same autocast), and keep keys and values in it, or in the weights' own.

Legend: B batch, T tokens, R rows, N query heads, K key-value heads, H d_head, D d_model, V vocabulary.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm.inference.attention import BLOCK, KVPool, Layout, PagedAttention, Threads, best_way
from llm.inference.row_by_row import least_rows, padded, row_by_row
from llm.inference.runner import output_logits
from llm.model.positions import alibi_bias
from llm.model.transformer import CausalLM, attend


def hidden(model: CausalLM, tokens_BT: Tensor) -> Tensor:
    """Return `model.hidden(tokens_BT)` with the engine's bytes, [B, T, D]."""
    n_rows, n_tokens = tokens_BT.shape
    weight = model.model.embed_tokens.weight
    least = least_rows(weight) if n_rows == 1 else 0
    padded_BT = F.pad(tokens_BT, (0, padded(n_tokens, least=least) - n_tokens))
    with row_by_row(weight):
        return model.hidden(padded_BT, engine=FixedOrder(model, padded_BT))[:, :n_tokens]


def log_probs(model: CausalLM, tokens_BT: Tensor) -> Tensor:
    """Return fp32 [B, T - 1]: the log-probability of each token after the first, given those before it."""
    x_BTD = hidden(model, tokens_BT[:, :-1])
    logits_RV = output_logits(model, x_BTD.flatten(0, 1))
    losses_R = F.cross_entropy(logits_RV, tokens_BT[:, 1:].flatten(), reduction="none")
    return -losses_R.view(len(tokens_BT), -1)


class FixedOrder:
    """Attends within one batch, in the engine's order; the gradient is that of plain attention."""

    def __init__(self, model: CausalLM, tokens_BT: Tensor) -> None:
        self.config = model.config
        n_rows, self.longest = tokens_BT.shape
        self.position_BT = torch.arange(self.longest, device=tokens_BT.device).expand(n_rows, -1)
        blocks = -(-self.longest // BLOCK)
        layout = Layout(
            np.tile(np.arange(self.longest), n_rows),
            [(row * self.longest, (row + 1) * self.longest) for row in range(n_rows)],
            np.arange(n_rows * blocks).reshape(n_rows, blocks),
        )
        weight = model.model.embed_tokens.weight
        pool = KVPool(replace(model.config, n_layers=1), n_rows * blocks, weight.dtype, weight.device)
        way, threads = best_way(weight.device, deterministic=True), Threads(torch.get_num_threads())
        self.paged = PagedAttention(model.config, pool, layout, way, threads)

    def attend(self, layer: int, q_BNTH: Tensor, k_BKTH: Tensor, v_BKTH: Tensor) -> Tensor:
        return Attended.apply(q_BNTH, k_BKTH, v_BKTH, self)

    def forward(self, q_BNTH: Tensor, k_BKTH: Tensor, v_BKTH: Tensor) -> Tensor:
        """Every layer in turn takes the one layer of the pool."""
        flat = (x.transpose(0, 1).flatten(1, 2)[None] for x in (q_BNTH, k_BKTH, v_BKTH))
        output_1NRH = self.paged.attend(0, *flat)
        return output_1NRH[0].unflatten(1, (len(q_BNTH), -1)).transpose(0, 1)

    def plainly(self, q_BNTH: Tensor, k_BKTH: Tensor, v_BKTH: Tensor) -> Tensor:
        bias = None
        if self.config.position == "alibi":
            bias = alibi_bias(self.position_BT[:1], self.longest, self.config.n_heads)
        return attend(q_BNTH, k_BKTH, v_BKTH, bias)


class Attended(torch.autograd.Function):
    """Forward in the fixed order; backward through plain attention, which is computed again."""

    @staticmethod
    def forward(ctx, q_BNTH, k_BKTH, v_BKTH, order):
        ctx.save_for_backward(q_BNTH, k_BKTH, v_BKTH)
        ctx.order = order
        return order.forward(q_BNTH, k_BKTH, v_BKTH)

    @staticmethod
    def backward(ctx, grad_BNTH):
        inputs = [x.detach().requires_grad_() for x in ctx.saved_tensors]
        with torch.enable_grad():
            output_BNTH = ctx.order.plainly(*inputs)
        return (*torch.autograd.grad(output_BNTH, inputs, grad_BNTH), None)
