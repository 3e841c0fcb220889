"""The interface of a training engine: all that the loop, its guards and its checkpoints know of one.

An engine holds one rank's share of a model and of its optimizer. What it returns is equal on every rank, so that all
ranks take the same decisions; every method is called by all ranks in the same order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

Rows = Callable[[int, int], torch.Tensor]
"""rows(first, count): rows first ... first + count - 1 of this step's global batch, int64 [count, T + 1]."""

Read = Callable[[str, tuple[slice, ...] | None], torch.Tensor | None]
"""read(name, where): a stored tensor, or the part of it that `where` cuts out; None if there is none of this name."""


@dataclass(frozen=True)
class Piece:
    """A rectangular part of a tensor of the whole state: `tensor` stands at `offset` in a tensor of `shape`.

    Names are canonical, whatever the engine: `model.layers.0.mlp.up_proj.weight` for a weight, and for the optimizer
    `<part>.<weight>.<state>`, e.g. `adamw.model.norm.weight.exp_avg`.
    """

    name: str
    shape: tuple[int, ...]
    offset: tuple[int, ...]
    tensor: torch.Tensor

    @property
    def whole(self) -> bool:
        return tuple(self.tensor.shape) == self.shape

    @property
    def where(self) -> tuple[slice, ...] | None:
        """The argument with which a `Read` returns this part."""
        if self.whole:
            return None
        return tuple(slice(start, start + size) for start, size in zip(self.offset, self.tensor.shape, strict=True))


class Engine(Protocol):
    """One rank's view of a model in training."""

    rank: int
    world_size: int

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        """Compute the gradients of a step. Return the loss (cross-entropy, nats per token, mean over the whole global
        batch) and the gradient's norm before clipping; neither need be finite. Gradients are kept until `update` or
        `skip`."""

    def update(self, factor: float, norm: float) -> None:
        """Clip by the given norm, update the weights with `factor` times the peak rates, drop the gradients."""

    def skip(self) -> None:
        """Drop the gradients; weights and optimizer stay as they are."""

    def token_losses(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Return -ln p of every target of int64 [B, T + 1], fp32 [B * T], on every rank; all ranks pass the same
        tokens."""

    def weights(self) -> list[Piece]:
        """Return this rank's share of the weights (fp32): every element of the whole is on exactly one rank."""

    def optimizer_state(self) -> list[Piece]:
        """Return this rank's share of the optimizer's state: all that the next step needs except weights, schedule,
        data."""

    def load(self, weights: Read, optimizer_state: Read, origin: str) -> None:
        """Fill weights and optimizer from a checkpoint of any layout. Raises InputError, naming `origin`, if it belongs
        to another model or optimizer."""
