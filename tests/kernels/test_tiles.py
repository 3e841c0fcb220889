"""Products by tiles: the order that the instruction is described by, and rows that do not depend on each other."""

import numpy as np
import pytest
import torch

from kernels import tiles

needs_tiles = pytest.mark.skipif(not tiles.has_tiles(), reason="this processor has no AMX")


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def product(x_MK: torch.Tensor, weight_NK: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    n_out, n_in = weight_NK.shape
    panels, together = -(-n_out // 64), -(-n_in // 32) * 32
    padded = torch.zeros((panels * 64, together), dtype=torch.bfloat16)
    padded[:n_out, :n_in] = weight_NK
    weight = padded.view(torch.int32).view(panels, 64, -1).transpose(1, 2).contiguous()
    out = torch.full((len(x_MK) + 1, n_out), 7.0, dtype=torch.bfloat16)
    x_MK, of_bias = x_MK.contiguous(), 0 if bias is None else bias.data_ptr()
    sizes = len(x_MK), n_in, weight.data_ptr(), weight[0].nbytes, n_out
    tiles.multiply(x_MK.data_ptr(), *sizes, of_bias, 0, 0, panels, out.data_ptr())
    assert (out[-1] == 7).all()  # nothing is written behind the rows
    return out[:-1]


def described(x_MK: torch.Tensor, weight_NK: torch.Tensor) -> torch.Tensor:
    """The sums in their order, by fp64: a product of two bf16 numbers is exact there, and so, nearly always, is its sum
    with a float32 before that is rounded."""
    x, weight = x_MK.double().numpy(), weight_NK.double().numpy()
    total = np.zeros((len(x), len(weight)), np.float32)
    for begin in range(0, x.shape[1], 32):
        halves = [np.zeros_like(total) for _ in range(2)]
        for k in range(begin, min(begin + 32, x.shape[1])):
            halves[k % 2] = (halves[k % 2].astype(np.float64) + np.outer(x[:, k], weight[:, k])).astype(np.float32)
        total = total + (halves[0] + halves[1])
    return torch.from_numpy(total)


@needs_tiles
@pytest.mark.parametrize(("n_out", "n_in"), [(64, 64), (70, 576), (33, 50), (8, 7)])
def test_sums_have_the_order_that_is_described(n_out: int, n_in: int) -> None:
    """The bias takes away the rounded result: what is left shows the bits that bf16 hides."""
    x_MK, weight_NK = drawn(0, 5, n_in), drawn(1, n_out, n_in)
    sums_MN = described(x_MK, weight_NK)
    assert torch.equal(product(x_MK, weight_NK), sums_MN.bfloat16())
    for row, sums in enumerate(sums_MN):
        rest = product(x_MK, weight_NK, -sums.bfloat16())[row]
        assert torch.equal(rest, (sums - sums.bfloat16().float()).bfloat16())


@needs_tiles
@pytest.mark.parametrize(("n_out", "n_in"), [(130, 96), (65, 33)])
def test_a_row_does_not_depend_on_the_others(n_out: int, n_in: int) -> None:
    """Though one of them is no number."""
    x_MK, weight_NK = drawn(0, 70, n_in), drawn(1, n_out, n_in)
    expected = product(x_MK, weight_NK)
    for begin, rows in ((0, 1), (3, 2), (9, 15), (0, 16), (50, 17), (1, 31), (2, 32), (4, 33), (5, 64)):
        assert torch.equal(product(x_MK[begin : begin + rows], weight_NK), expected[begin : begin + rows])
    x_MK[20] = torch.nan
    found = product(x_MK, weight_NK)
    others = torch.arange(70) != 20
    assert found[20].isnan().all() and torch.equal(found[others], expected[others])
