"""Lets the ranks of a run agree on things beside training itself, over a gloo group of their own on the CPU. Every
method must be called by all ranks in the same order; a single process agrees with itself."""

import torch
import torch.distributed as dist


class Ranks:
    """The ranks of a run. torch.distributed must be initialised if there are several. Each thread needs Ranks of its
    own."""

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size
        self.group = dist.new_group(backend="gloo") if world_size > 1 else None

    def gather(self, value: object) -> list:
        """Return every rank's value, in the order of ranks, on every rank."""
        if self.group is None:
            return [value]
        found: list = [None] * self.world_size
        dist.all_gather_object(found, value, group=self.group)
        return found

    def any(self, flag: bool) -> bool:
        """Is the flag true on some rank? It is cheap enough for every step."""
        if self.group is None:
            return flag
        flags = torch.tensor([flag], dtype=torch.int32)
        dist.all_reduce(flags, dist.ReduceOp.MAX, group=self.group)
        return bool(flags)
