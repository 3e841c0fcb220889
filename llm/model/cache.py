"""Keeps the keys and values of tokens already seen, for generation. Rows of a batch may have different lengths.

Legend: L layers, B rows, K key-value heads, S slots (max_length), H d_head, T new tokens.
A slot beyond a row's length may hold anything (padding, rejected tokens): attention masks by position, and the next
token written there overwrites it. Slots are neither paged nor evicted.
"""

import torch

from llm.errors import InputError
from llm.model.config import ModelConfig


class KVCache:
    """`k_LBKSH`, `v_LBKSH`: the slots; `length_B` int64: tokens seen per row, which is the next token's position;
    `longest`: the largest length, known without asking the device."""

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        max_length: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.n_layers, batch, config.n_kv_heads, max_length, config.d_head)
        self.max_length = max_length
        self.k_LBKSH = torch.zeros(shape, dtype=dtype, device=device)
        self.v_LBKSH = torch.zeros(shape, dtype=dtype, device=device)
        self.longest = 0
        self.length_B = torch.zeros(batch, dtype=torch.int64, device=device)
        self.row_B1 = torch.arange(batch, device=device)[:, None]

    def positions(self, n_tokens: int) -> torch.Tensor:
        """Return the positions [B, T] of the next `n_tokens` tokens. Raises InputError if they do not fit."""
        needed = self.longest + n_tokens
        if needed > self.max_length:
            raise InputError(
                f"the key-value cache holds {self.max_length} tokens, {needed} are needed; "
                "shorten the prompt, ask for fewer new tokens, or make the cache longer"
            )
        return self.length_B[:, None] + torch.arange(n_tokens, device=self.length_B.device)

    def update(
        self, layer: int, k_BKTH: torch.Tensor, v_BKTH: torch.Tensor, position_BT: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's new keys and values at their positions; return all of that layer's used slots."""
        used = self.longest + position_BT.shape[1]
        # An index on both sides of a slice puts the indexed dimensions first: [B, T, K, H].
        self.k_LBKSH[layer][self.row_B1, :, position_BT] = k_BKTH.transpose(1, 2).to(self.k_LBKSH.dtype)
        self.v_LBKSH[layer][self.row_B1, :, position_BT] = v_BKTH.transpose(1, 2).to(self.v_LBKSH.dtype)
        return self.k_LBKSH[layer, :, :, :used], self.v_LBKSH[layer, :, :, :used]

    def advance(self, n_tokens: int) -> None:
        self.length_B += n_tokens
        self.longest += n_tokens

    def truncate(self, length_B: torch.Tensor) -> None:
        """Forget what lies beyond `length_B` tokens of each row: right padding of a ragged prefill, or rejected
        drafts."""
        self.length_B.copy_(torch.minimum(self.length_B, length_B.to(self.length_B)))
        self.longest = int(self.length_B.max())
