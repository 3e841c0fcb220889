"""Muon on several ranks, which share the work of Newton-Schulz: each matrix has an owner, who orthogonalises it.

SharedMuon is for DDP: every rank has all updates, so only the owners' results travel, in one gathering of all matrices.
ShardedMuon is for matrices that are cut by rows between ranks, as by FSDP: the momentum is elementwise and stays cut;
the owner is sent the pieces, computes, and sends pieces back. That takes two exchanges a step, each of (W - 1) / W of
all matrices. What travels has the dtype of Newton-Schulz's products.
"""

import torch
import torch.distributed as dist

from llm.training.muon import Muon, orthogonalised


class SharedMuon(Muon):
    """Muon whose parameters are equal on every rank, and stay so."""

    def __init__(self, params: list[torch.Tensor], *arguments, **options) -> None:
        super().__init__(params, *arguments, **options)
        self.owned = owned_by_rank([self.shapes[weight] for weight in params])

    def orthogonal(self, weights: list[torch.Tensor], updates: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
        mine = orthogonalised([updates[index] for index in self.owned[dist.get_rank()]], steps)
        sizes = [[updates[index].numel() for index in indices] for indices in self.owned]
        longest = max(map(sum, sizes))  # all ranks must send equally much
        filling = updates[0].new_zeros(longest - sum(sizes[dist.get_rank()]))
        sent = torch.cat([*(matrix.flatten() for matrix in mine), filling])
        received = sent.new_empty(world_size(), longest)
        dist.all_gather_into_tensor(as_bytes(received), as_bytes(sent))
        result = list(updates)
        for indices, lengths, flat in zip(self.owned, sizes, received, strict=True):
            for index, part in zip(indices, flat[: sum(lengths)].split(lengths), strict=True):
                result[index] = part.view_as(updates[index])
        return result


class ShardedMuon(Muon):
    """Muon whose parameters are this rank's rows of matrices: ceil(rows / W) on each rank, fewer at the end. shapes:
    parameter -> shape of the whole matrix."""

    def __init__(self, params: list[torch.Tensor], *arguments, shapes: dict, **options) -> None:
        super().__init__(params, *arguments, **options)
        self.shapes = shapes
        self.owned = owned_by_rank([shapes[weight] for weight in params])

    def orthogonal(self, weights: list[torch.Tensor], updates: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
        shapes = [self.shapes[weight] for weight in weights]
        owned, mine = self.owned, self.owned[dist.get_rank()]
        rows = {index: rows_of_ranks(shapes[index][0]) for index in mine}
        lengths = [[rows[index][rank] * shapes[index][1] for index in mine] for rank in range(world_size())]
        pieces = exchange([[updates[index] for index in indices] for indices in owned], lengths)
        answers: list[list[torch.Tensor]] = [[] for _ in owned]
        whole_matrices = [
            torch.cat(parts).view(shapes[index]) for parts, index in zip(zip(*pieces, strict=True), mine, strict=True)
        ]
        for whole, index in zip(orthogonalised(whole_matrices, steps), mine, strict=True):
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


def owned_by_rank(shapes: list[tuple[int, int]]) -> list[list[int]]:
    """Return for each rank the indices of the matrices that it orthogonalises, about equal work for all."""
    owners = spread([max(shape) * min(shape) ** 2 for shape in shapes], world_size())
    return [[index for index, owner in enumerate(owners) if owner == rank] for rank in range(world_size())]


def spread(costs: list[float], ranks: int) -> list[int]:
    """Assign an owner to each item, in order: the rank with the least load so far."""
    loads = [0.0] * ranks
    owners = []
    for cost in costs:
        owners.append(loads.index(min(loads)))
        loads[owners[-1]] += cost
    return owners


def as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """View a tensor's memory as bytes: not every backend supports bf16."""
    return tensor.flatten().view(torch.uint8)


def rows_of_ranks(rows: int) -> list[int]:
    """Return how many rows of a matrix each rank holds."""
    share = -(-rows // world_size())
    return [max(0, min(share, rows - rank * share)) for rank in range(world_size())]


def exchange(outgoing: list[list[torch.Tensor]], lengths: list[list[int]]) -> list[list[torch.Tensor]]:
    """Exchange tensors between all ranks. outgoing[r]: tensors for rank r, all of one dtype. lengths[r]: elements of
    each tensor that comes from rank r. Returns those tensors, flat."""
    sent = torch.cat([part.flatten() for parts in outgoing for part in parts])
    received = sent.new_empty(sum(map(sum, lengths)))
    size = sent.element_size()
    dist.all_to_all_single(
        as_bytes(received),
        as_bytes(sent),
        [sum(each) * size for each in lengths],
        [sum(part.numel() for part in parts) * size for parts in outgoing],
    )
    flat = received.split([sum(each) for each in lengths])
    return [list(tensor.split(each)) for tensor, each in zip(flat, lengths, strict=True)]
