"""H of calibration inputs: half of it is computed, and threads change none of its bits."""

import pytest
import torch

from llm.deploy.quantize.hessian import Hessian, fast_products, hessian, product_error
from tests.llm.deploy.quantize.correlated import generator


@pytest.mark.parametrize(("rows", "width"), [(300, 48), (40, 256), (1500, 600)])
def test_half_of_it_is_the_whole(rows: int, width: int):
    """In any order of the inputs. Fast products round them to bf16 where there is AMX: those get what it can hold."""
    x, weight = torch.randn(rows, width, generator=generator()), torch.randn(24, width, generator=generator(1))
    held = x.bfloat16().float() if torch.cpu._is_amx_tile_supported() else x
    order = torch.randperm(width, generator=generator(2))
    for h, inputs in ((hessian(x), x), (hessian(x, order), x), (fast(held), held), (fast(held, order), held)):
        matrix = inputs.double().T @ inputs.double()
        error = float(((weight.double() @ matrix) * weight.double()).sum())
        expected = matrix[h.order_K][:, h.order_K]
        assert (h.h_KK.triu() - expected.triu()).norm() < 1e-6 * expected.norm()
        assert torch.equal(h.diagonal_K, h.h_KK.diagonal())
        assert torch.allclose(h.importance().double(), matrix.diagonal())
        assert abs(product_error(weight, h) - error) < 2e-3 * error
        factor = torch.rand(width, generator=generator(3)) + 0.5
        assert abs(product_error(weight * factor, h.divided(factor)) - error) < 2e-3 * error


def test_errors_of_several_matrices_at_once_are_those_of_each():
    x, changes = torch.randn(400, 300, generator=generator()), torch.randn(3, 24, 300, generator=generator(1))
    h = hessian(x)
    found = h.errors(changes.bfloat16())
    assert torch.allclose(found, torch.tensor([product_error(each, h) for each in changes], dtype=torch.float64))


def fast(x: torch.Tensor, order: torch.Tensor | None = None) -> Hessian:
    with fast_products():
        return hessian(x, order)


@pytest.mark.parametrize("width", [48, 64, 576])
def test_a_second_thread_changes_nothing(width: int):
    """oneDNN shares a sum over thousands of rows among threads where there are few columns."""
    x, before = torch.randn(4096, width, generator=generator()), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            h = fast(x)
            found.append(torch.cat([h.h_KK, h.errors(x[None, :48].bfloat16())[None].expand(width, 1).float()], 1))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_the_switch_is_turned_back():
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    with pytest.raises(ZeroDivisionError), fast_products():
        assert backend.fp32_precision == "bf16"
        raise ZeroDivisionError
    assert backend.fp32_precision == before
