"""A sum of a layer's product and an update is rounded once in bf16, by every layer that can, to the same bytes."""

import pytest
import torch
from torch import Tensor, nn

from llm.align.lora import LoraLinear
from llm.align.settings.adapter import LoraConfig
from llm.inference.reordered import ReorderedLinear, can_reorder
from llm.inference.row_by_row import row_by_row, uses_tiles
from llm.model.plus import plus

ROWS, INPUTS, OUTPUTS = 24, 96, 200


@pytest.fixture
def layer() -> nn.Linear:
    generator = torch.Generator().manual_seed(0)
    made = nn.Linear(INPUTS, OUTPUTS, bias=False)
    made.weight.data.normal_(0, INPUTS**-0.5, generator=generator)
    return made.bfloat16().requires_grad_(False)


def inputs(size: float) -> tuple[Tensor, Tensor]:
    """Rows of about 1, and updates of `size`."""
    generator = torch.Generator().manual_seed(1)
    x, added = torch.randn(ROWS, INPUTS, generator=generator), torch.randn(ROWS, OUTPUTS, generator=generator)
    return x.bfloat16(), (added * size).bfloat16()


def test_what_is_less_than_half_a_step_is_not_lost(layer: nn.Linear) -> None:
    """A third of what 0.0005 gives to numbers of about 1, whose steps are 0.004 to 0.008, was kept before."""
    x, added = inputs(5e-4)
    product, exact = layer(x), x.double() @ layer.weight.double().T + added.double()
    found = plus(layer, x, added)
    assert (found == exact.bfloat16()).float().mean() > 0.99
    assert (product + added == exact.bfloat16()).float().mean() < 0.95
    moved = ((found - product).double() * added.double()).sum() / added.double().square().sum()
    assert moved == pytest.approx(1, abs=0.1)
    assert ((product + added - product).double() * added.double()).sum() / added.double().square().sum() < 0.7


def test_nothing_added_is_the_layer_and_rows_do_not_depend_on_others(layer: nn.Linear) -> None:
    x, added = inputs(0.1)
    with row_by_row(layer.weight):
        assert torch.equal(plus(layer, x, torch.zeros_like(added)), layer(x))
        whole = plus(layer, x, added)
        assert torch.equal(plus(layer, x[:8], added[:8]), whole[:8])
        assert torch.equal(plus(layer, x.view(3, 8, -1), added.view(3, 8, -1)), whole.view(3, 8, -1))


def test_other_dtypes_and_layers_with_a_bias_add_as_ever(layer: nn.Linear) -> None:
    x, added = inputs(0.1)
    single = nn.Linear(INPUTS, OUTPUTS)
    assert torch.equal(plus(single, x.float(), added.float()), single(x.float()) + added.float())
    biased = nn.Linear(INPUTS, OUTPUTS).bfloat16()
    assert torch.equal(plus(biased, x, added), biased(x) + added)


@pytest.mark.skipif(not can_reorder(torch.empty(1, dtype=torch.bfloat16)), reason="no instructions for bf16")
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_reordered_matrices_have_these_bytes(layer: nn.Linear, bias: bool, threads: int) -> None:
    x, added = inputs(1e-3)
    if bias:
        layer.bias = nn.Parameter(torch.randn(OUTPUTS).bfloat16())
    with row_by_row(layer.weight):
        expected = plus(layer, x, added)
    reordered, before = ReorderedLinear(layer.weight, layer.bias), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for cut in {reordered.matrix.cut, reordered.matrix.cut if uses_tiles() else None}:
            reordered.matrix.cut = cut
            assert torch.equal(plus(reordered, x, added), expected)
            for row in range(4):
                assert torch.equal(plus(reordered, x[row : row + 1], added[row : row + 1]), expected[row : row + 1])
    finally:
        torch.set_num_threads(before)


def test_the_gradient_is_that_of_a_sum(layer: nn.Linear) -> None:
    x, _ = inputs(1)
    adapted = LoraLinear(layer.float(), LoraConfig(4, 8, ("any",)))
    adapted.lora_A.data.normal_(0, 0.1)
    adapted.lora_B.data.normal_(0, 0.1)
    found = []
    for enabled in (True, False):
        rows = x.float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            adapted(rows.view(3, 8, -1)).square().sum().backward()
        found.append((rows.grad, adapted.lora_A.grad, adapted.lora_B.grad))
        adapted.zero_grad()
    for half, full in zip(*found, strict=True):
        assert (half - full).norm() < 0.02 * full.norm()
