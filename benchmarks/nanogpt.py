"""A plain GPT in the manner of nanoGPT, as a peer: learned positions, LayerNorm without bias, GELU, tied embeddings.

Written anew for the comparison, with nanoGPT's usual choices: SDPA attention, autocast, fused AdamW with decay on
matrices, cross-entropy over all logits, normal(0, 0.02) weights, residual projections by 1/sqrt(2 L). No dropout.

Legend: B batch, T tokens, D width, H heads, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class GPTSizes:
    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    context_length: int


class GPT(nn.Module):
    def __init__(self, sizes: GPTSizes) -> None:
        super().__init__()
        self.tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.positions = nn.Embedding(sizes.context_length, sizes.d_model)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.n_layers))
        self.norm = nn.LayerNorm(sizes.d_model, bias=False)
        self.output = nn.Linear(sizes.d_model, sizes.vocab_size, bias=False)
        self.output.weight = self.tokens.weight
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                residual = name.endswith("project.weight")
                nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * sizes.n_layers) if residual else 0.02)

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """int64 [B, T] -> logits [B, T, V]"""
        x_BTD = self.tokens(tokens_BT) + self.positions.weight[: tokens_BT.shape[1]]
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.output(self.norm(x_BTD))


class Block(nn.Module):
    def __init__(self, sizes: GPTSizes) -> None:
        super().__init__()
        d = sizes.d_model
        self.n_heads = sizes.n_heads
        self.norm_1, self.norm_2 = nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False)
        self.qkv, self.project = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.mlp = nn.ModuleDict({"up": nn.Linear(d, 4 * d, bias=False), "project": nn.Linear(4 * d, d, bias=False)})

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        heads = (x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for x in self.qkv(self.norm_1(x_BTD)).chunk(3, -1))
        attended = F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2)
        x_BTD = x_BTD + self.project(attended)
        return x_BTD + self.mlp["project"](F.gelu(self.mlp["up"](self.norm_2(x_BTD))))


def adamw(model: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """nanoGPT's: betas 0.9, 0.95, decay 0.1 on matrices and embeddings, none on vectors; fused."""
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": 0.1},
        {"params": [weight for weight in weights if weight.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, learning_rate, (0.9, 0.95), fused=True)


def update(model: nn.Module, optimizer: torch.optim.Optimizer, tokens_BT: torch.Tensor) -> float:
    """One step on int64 [B, T + 1]: bf16 autocast, gradient clipped at 1. Returns the loss."""
    with torch.autocast(tokens_BT.device.type, torch.bfloat16):
        logits = model(tokens_BT[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens_BT[:, 1:].flatten())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()
