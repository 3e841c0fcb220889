"""Computes the sequences of a batch as one, without padding: they stand end to end, and none attends to another.

The linear layers, which are most of the work, see each real token once. Attention takes the sequences apart again, so
that a token sees what it sees alone; positions begin anew with each. Losses and gradients are the padded batch's.

Shapes: B sequences, T tokens of the longest, R real tokens of all, N query heads, K key-value heads, H d_head, D
d_model.
"""

import torch
from torch import Tensor

from llm.model.config import ModelConfig
from llm.model.positions import alibi_bias
from llm.model.transformer import CausalLM, attend


class Packed:
    """The Attending (llm/model/attending.py) of sequences end to end. real_BT: which places of a padded batch hold a
    token; in every row the first ones do."""

    def __init__(self, config: ModelConfig, real_BT: Tensor) -> None:
        self.longest = real_BT.shape[1]
        self.rows = real_BT.shape[0]
        positions_BT = torch.arange(self.longest, device=real_BT.device).expand_as(real_BT)
        self.position_BT = positions_BT[real_BT][None]
        self.place_R = real_BT.flatten().nonzero()[:, 0]
        # Padding takes some real token: it stands behind all that could see it, and nobody reads what it finds.
        self.token_BT = (real_BT.flatten().cumsum(0) - 1).clamp(min=0)
        self.bias = None
        if config.position == "alibi":
            self.bias = alibi_bias(positions_BT[:1], self.longest, config.n_heads)

    def attend(self, layer: int, q_1NRH: Tensor, k_1KRH: Tensor, v_1KRH: Tensor) -> Tensor:
        """Return what each token's queries find in its own sequence, [1, N, R, H]."""
        o_BNTH = attend(self.apart(q_1NRH), self.apart(k_1KRH), self.apart(v_1KRH), self.bias)
        return o_BNTH.transpose(1, 2).flatten(0, 1).index_select(0, self.place_R).transpose(0, 1)[None]

    def apart(self, x_1KRH: Tensor) -> Tensor:
        """Return the sequences side by side, padded, [B, K, T, H]."""
        x_RKH = x_1KRH[0].transpose(0, 1)
        return x_RKH.index_select(0, self.token_BT).unflatten(0, (self.rows, -1)).transpose(1, 2)


def packed_hidden(model: CausalLM, tokens_BT: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return the hidden states after the last norm of the first `length_B` tokens of each row, [R, D], row by row, and
    which these are, bool [B, T]."""
    real_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device) < length_B[:, None]
    packed = Packed(model.config, real_BT)
    return model.hidden(tokens_BT[real_BT][None], engine=packed)[0], real_BT
