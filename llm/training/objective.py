"""What an engine trains: a model and its loss as one module, which a stage defines."""

from typing import Any

import torch
from torch import nn

from llm.model.transformer import CausalLM
from llm.training.engine import Part

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


class Objective(nn.Module):
    """A model and its loss, as one module, so that an engine may shard it.

    stage: its name in the config, for messages. figures: names of what `loss` counts beside the loss. Weights have the
    names that they have in `model` (a new head's, beside it, its own); those that require no gradient are frozen.
    """

    stage = ""
    figures: tuple[str, ...] = ()
    constants = False
    """Does `prepare` give numbers that `loss` takes of the whole batch?"""

    def __init__(self, model: CausalLM, dtype: torch.dtype) -> None:
        """dtype: of the matrix products."""
        super().__init__()
        self.model, self.dtype = model, dtype

    def forward(self, part: Part, batch_size: int | None = None, constants: torch.Tensor | None = None):  # noqa: ANN201
        """Everything goes through here, since FSDP gathers the weights only while it runs: `loss` of a part of a batch
        of so many items, or `prepare` while its constants are not there yet; without `batch_size`, `scores`."""
        if batch_size is not None and (constants is not None or not self.constants):
            return self.loss(part, batch_size, *([constants] if self.constants else []))
        with torch.no_grad():
            return self.scores(part) if batch_size is None else self.prepare(part, batch_size)

    def prepare(self, part: Part, batch_size: int) -> torch.Tensor:
        """Return the part's share of the batch's constants, a vector of fp64; `loss` gets their sum over all parts."""
        raise NotImplementedError

    def loss(self, *arguments: Any, **_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """loss(part, batch_size), or loss(part, batch_size, constants) where there are constants: return the part's
        share of the batch's loss, a scalar, and of its figures, [K]. What all parts give together is the batch's,
        however it is cut."""
        raise NotImplementedError

    def scores(self, part: Part) -> torch.Tensor:
        """Return fp32 [B, ...]: what llm/training/engine.py's Engine.scores gives."""
        raise NotImplementedError

    def products(self, device: torch.device) -> torch.autocast:
        """Return a context in which matrix products on this device have the objective's dtype."""
        return torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32)
