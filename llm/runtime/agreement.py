"""What the ranks of a run agree on beside training itself, over a group of their own on the CPU. One process agrees
with itself. Every method is called by all ranks in the same order."""

import torch
import torch.distributed as dist


class Ranks:
    """Needs torch.distributed to be initialised where there is more than one rank. A thread needs Ranks of its own."""

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size
        self.group = dist.new_group(backend="gloo") if world_size > 1 else None

    def gather(self, value: object) -> list:
        """Every rank's value, in the order of ranks, on every rank."""
        if self.group is None:
            return [value]
        found: list = [None] * self.world_size
        dist.all_gather_object(found, value, group=self.group)
        return found

    def any(self, flag: bool) -> bool:
        """Is it true on some rank? Cheap enough for every step."""
        if self.group is None:
            return flag
        flags = torch.tensor([flag], dtype=torch.int32)
        dist.all_reduce(flags, dist.ReduceOp.MAX, group=self.group)
        return bool(flags)
