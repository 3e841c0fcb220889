"""Says what a forward pass asks of whoever keeps keys and values for it; llm/inference/ has those that do.

Legend: B rows, T tokens, N query heads, K key-value heads, H d_head.
"""

from typing import Protocol

import torch


class Attending(Protocol):
    """Attends in place of the model for one forward pass. position_BT: int64 positions of the tokens; longest: tokens
    of the longest sequence so far, its new ones included."""

    position_BT: torch.Tensor
    longest: int

    def attend(self, layer: int, q_BNTH: torch.Tensor, k_BKTH: torch.Tensor, v_BKTH: torch.Tensor) -> torch.Tensor:
        """Return what a layer's queries find among its keys, [B, N, T, H] in the queries' dtype."""
        ...
