"""The objective of pretraining: cross-entropy of each next token.

Legend: B rows, T tokens of a row, M = B T positions, D d_model.
"""

import torch

from llm.model.transformer import CausalLM
from llm.pretrain.loss import cross_entropy, token_losses
from llm.training.objective import Objective


class NextToken(Objective):
    """Its parts are int64 [B, T + 1]. compile: of the loss (llm/training/engines/single.py compiles the layers)."""

    stage = "pretrain"

    def __init__(self, model: CausalLM, dtype: torch.dtype, compile: bool = False) -> None:
        super().__init__(model, dtype)
        self.compile_loss = compile

    def loss(self, part: torch.Tensor, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        x_MD, target_M = self.hidden(part)
        positions, z_loss = batch_size * (part.shape[1] - 1), self.model.config.z_loss
        loss = cross_entropy(x_MD, self.model.output_weight, target_M, positions, z_loss, self.compile_loss)
        return loss, loss.new_empty(0)

    def scores(self, part: torch.Tensor) -> torch.Tensor:
        x_MD, target_M = self.hidden(part)
        return token_losses(x_MD, self.model.output_weight, target_M).view(len(part), -1)

    def hidden(self, tokens_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the output layer multiplies, [M, D], and the targets, int64 [M]."""
        with self.products(tokens_BT.device):
            hidden_BTD = self.model.hidden(tokens_BT[:, :-1])
        return hidden_BTD.flatten(0, 1).to(self.dtype), tokens_BT[:, 1:].flatten()
