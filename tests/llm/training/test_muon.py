"""Muon is torch's, bit for bit in bf16; matrices together, or shared by ranks, give the bytes of each alone."""

import pytest
import torch
import torch.distributed as dist

from llm.runtime.launch import run_ranks
from llm.training.engines.sharded_muon import SharedMuon
from llm.training.muon import Muon, newton_schulz, orthogonalised

SHAPES = [(64, 32), (32, 64), (48, 32), (64, 32), (32, 32), (32, 64), (64, 32)]


def matrices(seed: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(dtype) for shape in SHAPES]


def test_ten_steps_in_bfloat16_are_torch_s() -> None:
    ours, theirs = ([torch.nn.Parameter(matrix) for matrix in matrices(0)] for _ in range(2))
    settings = (0.02, 0.1, 0.95)
    optimizers = Muon(ours, *settings, dtype=torch.bfloat16), torch.optim.Muon(theirs, *settings)
    for step in range(1, 11):
        for weights, optimizer in zip((ours, theirs), optimizers, strict=True):
            for weight, gradient in zip(weights, matrices(step), strict=True):
                weight.grad = gradient
            optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_together_is_each_alone(dtype: torch.dtype) -> None:
    alone = [newton_schulz([matrix], 5)[0] for matrix in matrices(1, dtype)]
    together = orthogonalised(matrices(1, dtype), 5)
    assert all(torch.equal(*pair) for pair in zip(together, alone, strict=True))
    for found in together:
        values = torch.linalg.svdvals(found.float())
        assert values.min() > 0.5 and values.max() < 1.5


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = orthogonalised(matrices(2, torch.bfloat16), 5)
    monkeypatch.setattr("llm.training.muon.BATCH", 2 * 64 * 32)
    parts = orthogonalised(matrices(2, torch.bfloat16), 5)
    assert all(torch.equal(*pair) for pair in zip(parts, whole, strict=True))


def test_ranks_share_the_work_and_all_have_the_bytes_of_one() -> None:
    for count, (shares, equal) in zip((len(SHAPES), 2), run_ranks(3, shared_steps, timeout=120.0), strict=True):
        assert sorted(index for share in shares for index in share) == list(range(count))
        assert max(map(len, shares)) <= -(-count // 2)
        assert equal == [True] * 3


def shared_steps() -> list:
    """With all matrices, and with two, of which the third rank owns none."""
    return [shared_step(len(SHAPES)), shared_step(2)]


def shared_step(count: int) -> tuple[list[list[int]], list[bool]]:
    """Which matrices each rank orthogonalises; whether each has the weights of a process alone."""
    equal = True
    for dtype in (torch.bfloat16, torch.float32):
        weights = {kind: [torch.nn.Parameter(matrix) for matrix in matrices(0)[:count]] for kind in (SharedMuon, Muon)}
        for kind, ours in weights.items():
            for weight, gradient in zip(ours, matrices(3), strict=False):
                weight.grad = gradient
            optimizer = kind(ours, 0.02, 0.1, 0.95, dtype=dtype)
            optimizer.step()
            if kind is SharedMuon:
                owned = optimizer.owned
        equal &= all(torch.equal(*pair) for pair in zip(*weights.values(), strict=True))
    verdicts: list = [None] * dist.get_world_size()
    dist.all_gather_object(verdicts, equal)
    return owned, verdicts
