"""Data parallelism: every rank holds the whole model and trains on its rows of the batch; gradients are summed.

torch's DistributedDataParallel is not used: it reorders its buckets after the first step, so with three or more ranks
the order of the sums, and with it the bytes, would depend on where a run was interrupted. The buckets here are fixed,
and overlap with the backward pass just as well. Legend: B rows, T tokens of a row.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist

from llm.model.transformer import CausalLM
from llm.pretrain.engine import Rows
from llm.pretrain.engines.sharded_muon import SharedMuon, spread
from llm.pretrain.engines.single import SingleEngine, both
from llm.pretrain.settings import OptimizerSettings

BUCKET_BYTES = 25 * 2**20


class DDPEngine(SingleEngine):
    """The Engine of llm/pretrain/engine.py on the ranks of the default process group. Weights start equal and stay so,
    since every rank takes the same update."""

    muon = SharedMuon

    def __init__(
        self,
        model: CausalLM,
        settings: OptimizerSettings,
        dtype: torch.dtype,
        micro_batch: int | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__(model, settings, dtype, micro_batch, compile)
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self.buckets = buckets_of([held.tensor for held in self.held])
        owners = spread([held.tensor.numel() for held in self.held], self.world_size)
        # The ranks share the writing of a checkpoint.
        self.owned = [held for held, owner in zip(self.held, owners, strict=True) if owner == self.rank]

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        for bucket in self.buckets:
            bucket.begin(len(self.portions(batch_size)))
        loss = self.backward(rows, batch_size)
        for bucket in self.buckets:
            bucket.wait()
        dist.all_reduce(loss)
        return both(loss, self.optimizer.norm())

    def token_losses(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        return shared_rows(super().token_losses, tokens_BT, self.rank, self.world_size)


class Bucket:
    """Gradients of some weights, end to end in one tensor that is summed over the ranks as soon as the last of them is
    computed, while the backward pass goes on. Every rank's backward pass completes the buckets in the same order."""

    def __init__(self, weights: list[torch.Tensor]) -> None:
        self.weights = weights
        self.flat = torch.zeros(sum(weight.numel() for weight in weights), device=weights[0].device)
        self.waiting_for = 0
        self.work: dist.Work | None = None
        for weight in weights:
            weight.register_post_accumulate_grad_hook(partial(arrived, self))

    def begin(self, backward_passes: int) -> None:
        """Zero the gradients, which will be summed after so many backward passes."""
        self.flat.zero_()
        sizes = [weight.numel() for weight in self.weights]
        for weight, part in zip(self.weights, self.flat.split(sizes), strict=True):
            weight.grad = part.view_as(weight)
        self.waiting_for = backward_passes * len(self.weights)

    def wait(self) -> None:
        assert self.work is not None
        self.work.wait()


def arrived(bucket: Bucket, weight: torch.Tensor) -> None:
    bucket.waiting_for -= 1
    if bucket.waiting_for == 0:
        bucket.work = dist.all_reduce(bucket.flat, async_op=True)


def buckets_of(weights: list[torch.Tensor]) -> list[Bucket]:
    """Group the weights in buckets of about BUCKET_BYTES, the last layers' first, in the order of their gradients."""
    groups: list[list[torch.Tensor]] = [[]]
    filled = 0
    for weight in reversed(weights):
        if groups[-1] and filled + weight.nbytes > BUCKET_BYTES:
            groups.append([])
            filled = 0
        groups[-1].append(weight)
        filled += weight.nbytes
    return [Bucket(group) for group in groups]


def shared_rows(losses: Callable, tokens_BT: torch.Tensor, rank: int, world_size: int) -> torch.Tensor:
    """Compute `losses(rows)` together: each rank for its rows; all ranks get all losses, fp32 [B * T]."""
    share = -(-len(tokens_BT) // world_size)
    row = torch.arange(rank * share, (rank + 1) * share).clamp_max(len(tokens_BT) - 1)  # the last row fills up
    mine_M = losses(tokens_BT[row])
    all_M = mine_M.new_empty(world_size * len(mine_M))
    dist.all_gather_into_tensor(all_M, mine_M)
    return all_M[: len(tokens_BT) * (tokens_BT.shape[1] - 1)]
