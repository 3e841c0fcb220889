"""Products whose rows do not depend on each other, at multiples of 8, on whatever processor; their gradient."""

import pytest
import torch
import torch.nn.functional as F

from llm.inference import row_by_row
from llm.inference.row_by_row import by_tiles, in_panels, linear, uses_tiles


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("n_out", "n_in"), [(576, 1536), (3072, 576), (2048, 2048), (24, 72), (8, 576), (65, 33)])
@pytest.mark.parametrize("biased", [False, True])
def test_rows_do_not_depend_on_their_number(n_out: int, n_in: int, dtype: torch.dtype, biased: bool) -> None:
    """What F.linear gives differs on a Xeon with AMX, in bf16 and fp32, at 8 to 320 rows."""
    weight, x_MK = drawn(0, n_out, n_in).to(dtype), drawn(1, 512, n_in).to(dtype)
    bias = drawn(2, n_out).to(dtype) if biased else None
    expected = linear(x_MK, weight, bias)
    close = F.linear(x_MK.double(), weight.double(), None if bias is None else bias.double())
    assert (expected - close).abs().max() < (0.6 if dtype == torch.bfloat16 else 1e-3)
    least = row_by_row.least_rows(weight)
    for begin, rows in ((0, 8), (100, 16), (7, 24), (64, 64), (5, 128), (100, 320)):
        rows = max(rows, least)
        assert torch.equal(linear(x_MK[begin : begin + rows], weight, bias), expected[begin : begin + rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_gradient_is_that_of_a_product(dtype: torch.dtype) -> None:
    """Of three-dimensional inputs, within the mode as without it."""
    inputs = [drawn(0, 2, 16, 64).to(dtype), drawn(1, 96, 64).to(dtype), drawn(2, 96).to(dtype)]
    leaves = [[each.clone().requires_grad_() for each in inputs] for _ in range(2)]
    F.linear(*leaves[0]).square().sum().backward()
    with row_by_row.row_by_row(inputs[1]):
        F.linear(*leaves[1]).square().sum().backward()
    for expected, found in zip(*leaves, strict=True):
        assert expected.grad is not None and found.grad is not None
        assert torch.allclose(found.grad.float(), expected.grad.float(), rtol=0.02, atol=0.5)


@pytest.mark.skipif(not uses_tiles(), reason="oneDNN multiplies no tiles here")
def test_autocast_is_heeded() -> None:
    """fp32 weights under torch.autocast give the bytes of bf16 ones."""
    weight, x_MK = drawn(0, 96, 64), drawn(1, 16, 64)
    with torch.autocast("cpu", torch.bfloat16), row_by_row.row_by_row(weight):
        found = F.linear(x_MK, weight)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, linear(x_MK.bfloat16(), weight.bfloat16()))


@pytest.mark.skipif(not uses_tiles(), reason="oneDNN multiplies no tiles here")
def test_factors_change_places_without_a_trace() -> None:
    """Few rows are put in panels instead of the matrix."""
    weight, x_MK = drawn(0, 200, 96).bfloat16(), drawn(1, 9, 96).bfloat16()
    panels = in_panels(weight)
    assert torch.equal(linear(x_MK, weight), by_tiles(x_MK, panels.data_ptr(), panels[0].nbytes, 200, None))


@pytest.mark.parametrize("n_out", [24, 200])
def test_a_bias_of_each_row_is_rounded_with_the_product(n_out: int) -> None:
    """As torch.addmm does, which takes part in the mode; more rows than outputs and fewer; with its gradient."""
    weight, x_MK, added = (drawn(*each).bfloat16() for each in ((0, n_out, 96), (1, 40, 96), (2, 40, n_out)))
    leaf = added.clone().requires_grad_()
    with row_by_row.row_by_row(weight):
        found = torch.addmm(leaf, x_MK, weight.t())
    exact = x_MK.double() @ weight.double().T + added.double()
    assert (found == exact.bfloat16()).float().mean() > 0.99
    assert torch.equal(linear(x_MK[8:24], weight, added[8:24]), found[8:24])
    found.sum().backward()
    assert leaf.grad is not None and (leaf.grad == 1).all()


@pytest.mark.parametrize(("allowed", "expected"), [("AVX2", False), ("AVX512_CORE_BF16", False), ("DEFAULT", True)])
def test_whoever_forbids_onednn_tiles_gets_none(allowed: str, expected: bool, monkeypatch) -> None:
    """So that a portable build has the same bytes here as elsewhere."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", allowed)
    monkeypatch.setattr(row_by_row, "has_tiles", lambda: True, raising=False)
    assert uses_tiles.__wrapped__() == expected
