"""Fully sharded data parallelism (ZeRO 3, Rajbhandari et al. 2020) by torch's fully_shard: each of W ranks holds 1/W of
every weight's rows, of its gradient and of the optimizer's state; a layer is whole only while it is computed.

The optimizer works on the local rows as plain tensors, without DTensor's dispatch. In bf16 the layers' weights are
communicated as bf16, but for layers that round them themselves (`rounds_weights`); master weights, sums of gradients,
embeddings and the residual stream are fp32.
"""

from functools import partial

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from llm.training.engine import Part, Piece, Rows
from llm.training.engines.ddp import shared_scores, summed
from llm.training.engines.sharded_muon import ShardedMuon
from llm.training.engines.single import SingleEngine, trained_weights
from llm.training.objective import Objective
from llm.training.optimizer import Optimizer
from llm.training.settings import OptimizerSettings


class FSDPEngine(SingleEngine):
    """The Engine of llm/training/engine.py on the ranks of the default process group. With several micro-batches
    gradients are summed over the ranks after each, so that no rank ever holds them whole."""

    def __init__(
        self,
        objective: Objective,
        settings: OptimizerSettings,
        device: torch.device,
        micro_batch: int | None = None,
    ) -> None:
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self.figures = {}
        self.device, self.micro_batch = device, micro_batch
        shapes = {name: tuple(weight.shape) for name, weight in trained_weights(objective).items()}
        self.objective = shard(objective.train(), device)
        # While the whole model is gathered its parameters are other objects; gradients arrive at these.
        self.sharded = trained_weights(objective)
        self.held = [local_piece(name, shapes[name], weight, self.rank) for name, weight in self.sharded.items()]
        self.owned = [held for held in self.held if held.tensor.numel()]
        shapes_of = {held.tensor: held.shape for held in self.held}
        self.optimizer = Optimizer(self.held, settings, partial(ShardedMuon, dtype=objective.dtype, shapes=shapes_of))

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        total = self.backward(rows, batch_size)
        for held in self.held:
            held.tensor.grad = local_rows(self.sharded[held.name].grad)
        sums = torch.cat((total, self.optimizer.norm().double().square()[None]))
        dist.all_reduce(sums)
        norm = sums[-1].rsqrt().reciprocal()  # not sqrt(), which on a CPU is MKL's (llm/training/optimizer.py)
        return self.noted(sums[:-1], norm)

    def update(self, factor: float, norm: float) -> None:
        super().update(factor, norm)
        self.skip()

    def skip(self) -> None:
        super().skip()
        for held in self.held:
            held.tensor.grad = None

    def constants(self, parts: list[Part], batch_size: int) -> torch.Tensor:
        found = summed(super().constants(parts, batch_size))
        self.reshard()
        return found

    def scores(self, part: Part) -> torch.Tensor:
        found = shared_scores(super().scores, part, self.rank, self.world_size)
        self.reshard()
        return found

    def reshard(self) -> None:
        """Let go of the outermost module's weights, which otherwise stay gathered and miss the next update."""
        assert isinstance(self.objective, FSDPModule)
        self.objective.reshard()

    def optimizer_state(self) -> list[Piece]:
        """Return this rank's rows of the state; what is not cut by rows is rank 0's."""
        return [piece for piece in super().optimizer_state() if piece.shape or self.rank == 0]


def shard(objective: Objective, device: torch.device) -> Objective:
    """Shard, in place, the weights of each layer, and those outside of layers, by rows. Gradients are summed."""
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for layer in objective.model.model.layers:
        whole = any(getattr(module, "rounds_weights", False) for module in layer.modules())
        dtype = torch.float32 if whole else objective.dtype
        fully_shard(layer, mesh=mesh, mp_policy=MixedPrecisionPolicy(dtype, torch.float32, cast_forward_inputs=False))
    fully_shard(objective, mesh=mesh)
    for module in objective.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    return objective


def local_rows(tensor: torch.Tensor | None) -> torch.Tensor:
    """This rank's rows of what was sharded."""
    assert isinstance(tensor, DTensor)
    return tensor.to_local()


def local_piece(name: str, shape: tuple[int, ...], weight: torch.nn.Parameter, rank: int) -> Piece:
    """Return this rank's rows of a weight, sharing its memory: ceil(rows / W) on each rank, fewer or none at the
    end."""
    local = local_rows(weight.detach())
    first = min(rank * -(-shape[0] // dist.get_world_size()), shape[0])
    return Piece(name, shape, (first, *(0 for _ in shape[1:])), local)
