"""The interface of a training engine: all that the loop, its guards and its checkpoints know of one.

An engine holds one rank's share of a model and of its optimizer. What it returns is equal on every rank, so that all
ranks take the same decisions; every method is called by all ranks in the same order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

Part = Any
"""Some items of a batch, as an objective takes them: a tensor of tokens, or a dataclass of tensors that has what of a
tensor is needed: `len(part)`, its items; `part[items]`, those of these indices, int64 [B]; `to(device, non_blocking)`;
`pin_memory()`."""

Rows = Callable[[int, int], Part]
"""rows(first, count): items first ... first + count - 1 of this step's global batch."""

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
    figures: dict[str, float]
    """What the objective counted beside the loss in the last `gradients`, of the whole global batch."""

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        """Compute the gradients of a step. Return the loss of the whole global batch (of pretraining: nats per token)
        and the gradient's norm before clipping; neither need be finite. Gradients are kept until `update` or `skip`."""

    def update(self, factor: float, norm: float) -> None:
        """Clip by the given norm, update the weights with `factor` times the peak rates, drop the gradients."""

    def skip(self) -> None:
        """Drop the gradients; weights and optimizer stay as they are."""

    def scores(self, part: Part) -> torch.Tensor:
        """Return what the objective says of each item without training on it, fp32 [B, ...], on every rank; all ranks
        pass the same items. Of next-token prediction: -ln p of each target of int64 [B, T + 1], [B, T]."""

    def weights(self) -> list[Piece]:
        """Return this rank's share of the trained weights (fp32): each element of the whole is on exactly one rank."""

    def optimizer_state(self) -> list[Piece]:
        """Return this rank's share of the optimizer's state: all that the next step needs except weights, schedule,
        data."""

    def load(self, weights: Read, optimizer_state: Read, origin: str) -> None:
        """Fill weights and optimizer from a checkpoint of any layout. Raises InputError, naming `origin`, if it belongs
        to another model or optimizer."""
