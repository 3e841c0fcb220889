"""The engine of one process: forward, backward, clip, update. The engines of several ranks extend it.

Legend: B rows, T tokens of a row, M = B T positions, D d_model.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from llm.errors import InputError
from llm.model.transformer import CausalLM
from llm.pretrain.engine import Piece, Read, Rows
from llm.pretrain.loss import cross_entropy, token_losses
from llm.pretrain.muon import Muon
from llm.pretrain.optimizer import Optimizer
from llm.pretrain.settings import OptimizerSettings

# On a CPU inductor splits sums among the threads that it finds, so their number would change bytes. Matrix products use
# the process's threads, as without compilation. A GPU's code has no threads.
COMPILED: dict[str, str | int | bool | Callable] = {"cpp.threads": 1}


class Objective(nn.Module):
    """A model and its training loss, as one module."""

    def __init__(self, model: CausalLM, dtype: torch.dtype, compile: bool = False) -> None:
        super().__init__()
        self.model = model
        self.dtype, self.compile_loss = dtype, compile

    def forward(self, tokens_BT: torch.Tensor, positions: int | None = None) -> torch.Tensor:
        """Return, for int64 [B, T + 1], this part of the loss of a batch of so many positions; without `positions` -ln
        p of each target, fp32 [M], without gradient."""
        with torch.autocast(tokens_BT.device.type, self.dtype, enabled=self.dtype != torch.float32):
            hidden_BTD = self.model.hidden(tokens_BT[:, :-1])
        x_MD, target_M = hidden_BTD.flatten(0, 1).to(self.dtype), tokens_BT[:, 1:].flatten()
        if positions is None:
            return token_losses(x_MD, self.model.output_weight, target_M)
        z_loss = self.model.config.z_loss
        return cross_entropy(x_MD, self.model.output_weight, target_M, positions, z_loss, self.compile_loss)


class SingleEngine:
    """The Engine of llm/pretrain/engine.py for a model whose weights lie in this process. `micro_batch`: rows that go
    through the model at once, None for all. `compile`: of the loss (prepare_layers compiles the layers). `held`: the
    weights that this rank updates; `owned`: those of them that it writes into checkpoints."""

    rank, world_size = 0, 1
    muon = Muon

    def __init__(
        self,
        model: CausalLM,
        settings: OptimizerSettings,
        dtype: torch.dtype,
        micro_batch: int | None = None,
        compile: bool = False,
    ) -> None:
        self.objective = Objective(model.train(), dtype, compile)
        self.device = model.output_weight.device
        self.micro_batch = micro_batch
        self.held = self.owned = whole_pieces(dict(model.named_parameters()))
        self.optimizer = Optimizer(self.held, settings, partial(self.muon, dtype=dtype))

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        return both(self.backward(rows, batch_size), self.optimizer.norm())

    def backward(self, rows: Rows, batch_size: int) -> torch.Tensor:
        """Leave this rank's gradients in its weights; return its part of the loss, fp64."""
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for first, count in self.portions(batch_size):
            tokens_BT = rows(first, count).to(self.device, non_blocking=True)
            loss = self.objective(tokens_BT, batch_size * (tokens_BT.shape[1] - 1))
            loss.backward()
            total += loss.detach()
        return total

    def portions(self, batch_size: int) -> list[tuple[int, int]]:
        """Return (first row, rows) of this rank's micro-batches; every rank has equally many."""
        if batch_size % self.world_size:
            raise InputError(
                f"pretrain.batch_size: {batch_size} is not divisible by pretrain.parallel.data: {self.world_size}"
            )
        mine = batch_size // self.world_size
        step = self.micro_batch or mine
        return [(self.rank * mine + start, min(step, mine - start)) for start in range(0, mine, step)]

    def update(self, factor: float, norm: float) -> None:
        self.optimizer.step(factor, norm)

    def skip(self) -> None:
        self.objective.zero_grad(set_to_none=True)

    def token_losses(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.objective(tokens_BT.to(self.device))

    def weights(self) -> list[Piece]:
        return [Piece(held.name, held.shape, held.offset, held.tensor.detach()) for held in self.owned]

    def optimizer_state(self) -> list[Piece]:
        return self.optimizer.state(self.owned)

    def load(self, weights: Read, optimizer_state: Read, origin: str) -> None:
        with torch.no_grad():
            for held in self.held:
                stored = weights(held.name, held.where)
                if stored is None or stored.shape != held.tensor.shape:
                    raise InputError(f"{origin}: {held.name} is missing or of another shape; it is of another model")
                held.tensor.copy_(stored)
        self.optimizer.load_state(optimizer_state, origin)


def both(loss: torch.Tensor, norm: torch.Tensor) -> tuple[float, float]:
    """Return two scalars as numbers, waiting for the device once."""
    return tuple(torch.stack((loss, norm.double())).tolist())


def prepare_layers(model: CausalLM, recompute: str, compile: bool) -> CausalLM:
    """Wrap the forward pass of every layer, in place; names and weights stay. recompute "full" keeps only a layer's
    input and computes the rest again in the backward pass (Chen et al. 2016). compile: one layer's code serves all."""
    if recompute not in ("none", "full"):
        raise InputError(f"pretrain.recompute: {recompute!r} is not one of none, full")
    for layer in model.model.layers:
        if compile:
            layer.forward = torch.compile(layer.forward, options=COMPILED)
        if recompute == "full":  # without dropout there is no random state to keep
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False)
    return model


def whole_pieces(tensors: dict[str, torch.Tensor]) -> list[Piece]:
    """Make each whole tensor a piece."""
    return [Piece(name, tuple(tensor.shape), (0,) * tensor.ndim, tensor) for name, tensor in tensors.items()]
