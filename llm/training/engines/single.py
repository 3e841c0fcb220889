"""The engine of one process: forward, backward, clip, update. The engines of several ranks extend it.

K: figures of the objective.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from llm.errors import InputError
from llm.model.transformer import CausalLM
from llm.training.engine import Part, Piece, Read, Rows
from llm.training.muon import Muon
from llm.training.objective import Objective
from llm.training.optimizer import Optimizer
from llm.training.settings import OptimizerSettings

# On a CPU inductor splits sums among the threads that it finds, so their number would change bytes. Matrix products use
# the process's threads, as without compilation. A GPU's code has no threads.
COMPILED: dict[str, str | int | bool | Callable] = {"cpp.threads": 1}


class SingleEngine:
    """The Engine of llm/training/engine.py for a model whose weights lie in this process. `micro_batch`: items that go
    through the model at once, None for all. `held`: the weights that this rank updates; `owned`: those of them that it
    writes into checkpoints."""

    rank, world_size = 0, 1
    muon = Muon

    def __init__(self, objective: Objective, settings: OptimizerSettings, micro_batch: int | None = None) -> None:
        self.objective = objective.train()
        self.figures: dict[str, float] = {}
        self.device = objective.model.output_weight.device
        self.micro_batch = micro_batch
        self.held = self.owned = whole_pieces(trained_weights(objective))
        self.optimizer = Optimizer(self.held, settings, partial(self.muon, dtype=objective.dtype))

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        return self.noted(self.backward(rows, batch_size), self.optimizer.norm())

    def backward(self, rows: Rows, batch_size: int) -> Tensor:
        """Leave this rank's gradients in its weights; return its share of the loss and of the figures, fp64 [1 + K]."""
        parts: Iterable[Part] = (
            rows(first, count).to(self.device, non_blocking=True) for first, count in self.portions(batch_size)
        )
        constants = None
        if self.objective.constants:
            parts = list(parts)
            constants = self.constants(parts, batch_size)
        total = torch.zeros(1 + len(self.objective.figures), dtype=torch.float64, device=self.device)
        for part in parts:
            loss, figures_K = self.objective(part, batch_size, constants)
            loss.backward()
            total += torch.cat((loss.detach()[None], figures_K.detach()))
        return total

    def constants(self, parts: list[Part], batch_size: int) -> Tensor:
        """Return what the losses of all parts of the batch depend on, of the whole batch."""
        return torch.stack([self.objective(part, batch_size) for part in parts]).sum(0)

    def noted(self, total: Tensor, norm: Tensor) -> tuple[float, float]:
        """Return loss and norm as numbers, and note the figures, waiting for the device once."""
        loss, *figures, found = torch.cat((total, norm.double()[None])).tolist()
        self.figures = dict(zip(self.objective.figures, figures, strict=True))
        return loss, found

    def portions(self, batch_size: int) -> list[tuple[int, int]]:
        """Return (first row, rows) of this rank's micro-batches; every rank has equally many."""
        if batch_size % self.world_size:
            raise InputError(
                f"{self.objective.stage}: batch_size {batch_size} is not divisible by parallel.data: "
                f"{self.world_size}; change one of them"
            )
        mine = batch_size // self.world_size
        step = self.micro_batch or mine
        return [(self.rank * mine + start, min(step, mine - start)) for start in range(0, mine, step)]

    def update(self, factor: float, norm: float) -> None:
        self.optimizer.step(factor, norm)

    def skip(self) -> None:
        self.objective.zero_grad(set_to_none=True)

    def scores(self, part: Part) -> Tensor:
        return self.objective(part.to(self.device))

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


def trained_weights(objective: Objective) -> dict[str, torch.nn.Parameter]:
    """Return the weights that are not frozen: the model's by their names in it, any others by theirs."""
    return {
        name.removeprefix("model."): weight for name, weight in objective.named_parameters() if weight.requires_grad
    }


def prepare_layers(model: CausalLM, recompute: str, compile: bool = False) -> CausalLM:
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


def whole_pieces(tensors: Mapping[str, Tensor]) -> list[Piece]:
    """Make each whole tensor a piece."""
    return [Piece(name, tuple(tensor.shape), (0,) * tensor.ndim, tensor) for name, tensor in tensors.items()]
