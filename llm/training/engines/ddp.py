"""Data parallelism: every rank holds the whole model and trains on its items of the batch; gradients are summed.

torch's DistributedDataParallel is not used: it reorders its buckets after the first step, so with three or more ranks
the order of the sums, and with it the bytes, would depend on where a run was interrupted. The buckets here are fixed,
and overlap with the backward pass just as well.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist

from llm.training.engine import Part, Rows
from llm.training.engines.sharded_muon import SharedMuon, spread
from llm.training.engines.single import SingleEngine
from llm.training.objective import Objective
from llm.training.settings import OptimizerSettings

BUCKET_BYTES = 25 * 2**20


class DDPEngine(SingleEngine):
    """The Engine of llm/training/engine.py on the ranks of the default process group. Weights start equal and stay so,
    since every rank takes the same update."""

    muon = SharedMuon

    def __init__(self, objective: Objective, settings: OptimizerSettings, micro_batch: int | None = None) -> None:
        super().__init__(objective, settings, micro_batch)
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self.buckets = buckets_of([held.tensor for held in self.held])
        owners = spread([held.tensor.numel() for held in self.held], self.world_size)
        # The ranks share the writing of a checkpoint.
        self.owned = [held for held, owner in zip(self.held, owners, strict=True) if owner == self.rank]

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        for bucket in self.buckets:
            bucket.begin(len(self.portions(batch_size)))
        total = self.backward(rows, batch_size)
        for bucket in self.buckets:
            bucket.wait()
        dist.all_reduce(total)
        return self.noted(total, self.optimizer.norm())

    def constants(self, parts: list[Part], batch_size: int) -> torch.Tensor:
        return summed(super().constants(parts, batch_size))

    def scores(self, part: Part) -> torch.Tensor:
        return shared_scores(super().scores, part, self.rank, self.world_size)


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


def summed(values: torch.Tensor) -> torch.Tensor:
    """Sum over the ranks."""
    dist.all_reduce(values)
    return values


def shared_scores(scores: Callable, part: Part, rank: int, world_size: int) -> torch.Tensor:
    """Compute `scores(part)` together: each rank for its items; all ranks get those of all items, fp32 [B, ...]."""
    share = -(-len(part) // world_size)
    items = torch.arange(rank * share, (rank + 1) * share).clamp_max(len(part) - 1)  # the last item fills up
    mine = scores(part[items])
    found = mine.new_empty(world_size * share, *mine.shape[1:])
    dist.all_gather_into_tensor(found, mine)
    return found[: len(part)]
