"""Muon over matrices that are cut by rows between ranks, as FSDP cuts them.

The momentum is elementwise and stays cut. The orthogonal update needs the whole matrix: each has an owner, who is sent
the pieces, computes, and sends pieces back, so that each matrix is orthogonalised once. Both ways travel in the dtype
of Newton-Schulz's products. Two exchanges in a step, each of (W - 1) / W of all matrices.
"""

import torch
import torch.distributed as dist

from llm.parallel.ddp import spread
from llm.train.muon import Muon, newton_schulz


class ShardedMuon(Muon):
    """Muon whose parameters are this rank's rows of matrices: ceil(rows / W) for each rank, less at the end. shapes:
    parameter -> shape of the whole matrix."""

    def __init__(self, params: list[torch.Tensor], *arguments, shapes: dict, **options) -> None:
        super().__init__(params, *arguments, **options)
        self.shapes = shapes
        self.owners = spread([max(shapes[weight]) * min(shapes[weight]) ** 2 for weight in params], world_size())

    def orthogonal(self, weights: list[torch.Tensor], updates: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
        shapes = [self.shapes[weight] for weight in weights]
        owned = [[index for index, owner in enumerate(self.owners) if owner == rank] for rank in range(world_size())]
        mine = owned[dist.get_rank()]
        rows = {index: rows_of_ranks(shapes[index][0]) for index in mine}
        lengths = [[rows[index][rank] * shapes[index][1] for index in mine] for rank in range(world_size())]
        pieces = exchange([[updates[index] for index in indices] for indices in owned], lengths)
        answers = [[] for _ in owned]
        for parts, index in zip(zip(*pieces, strict=True), mine, strict=True):
            whole = newton_schulz(torch.cat(parts).view(shapes[index]), steps)
            for answer, part in zip(answers, whole.split(rows[index]), strict=True):
                answer.append(part)
        back = exchange(answers, [[updates[index].numel() for index in indices] for indices in owned])
        result = list(updates)
        for indices, parts in zip(owned, back, strict=True):
            for index, part in zip(indices, parts, strict=True):
                result[index] = part.view_as(updates[index])
        return result


def world_size() -> int:
    return dist.get_world_size()


def rows_of_ranks(rows: int) -> list[int]:
    """How many rows of a matrix each rank holds."""
    share = -(-rows // world_size())
    return [max(0, min(share, rows - rank * share)) for rank in range(world_size())]


def exchange(outgoing: list[list[torch.Tensor]], lengths: list[list[int]]) -> list[list[torch.Tensor]]:
    """outgoing[r]: tensors for rank r, all of one dtype. lengths[r]: elements of each tensor that comes from rank r ->
    those tensors, flat."""
    sent = torch.cat([part.flatten() for parts in outgoing for part in parts])
    received = sent.new_empty(sum(map(sum, lengths)))
    size = sent.element_size()  # as bytes: not every backend knows bf16
    dist.all_to_all_single(
        received.view(torch.uint8),
        sent.view(torch.uint8),
        [sum(each) * size for each in lengths],
        [sum(part.numel() for part in parts) * size for parts in outgoing],
    )
    flat = received.split([sum(each) for each in lengths])
    return [list(tensor.split(each)) for tensor, each in zip(flat, lengths, strict=True)]
