"""H of calibration inputs: half of it is computed, and threads change none of its bits."""

import pytest
import torch

from llm.deploy.quantize.hessian import fast_products, gram, product_error
from tests.llm.deploy.quantize.correlated import generator


@pytest.mark.parametrize(("rows", "width"), [(300, 48), (40, 256), (1500, 600)])
def test_half_of_it_is_the_whole(rows: int, width: int):
    x, weight = torch.randn(rows, width, generator=generator()), torch.randn(24, width, generator=generator(1))
    whole = x.double().T @ x.double()
    error = float(((weight.double() @ whole) * weight.double()).sum())
    for h_KK in (gram(x), fast(x)):
        assert torch.equal(h_KK, h_KK.T)
        assert (h_KK - whole).norm() < 1e-6 * whole.norm()
        assert abs(product_error(weight, h_KK) - error) < 1e-6 * error


def fast(x: torch.Tensor) -> torch.Tensor:
    with fast_products():
        return gram(x)


@pytest.mark.parametrize("width", [48, 64, 576])
def test_a_second_thread_changes_nothing(width: int):
    """oneDNN shares a sum over thousands of rows among threads where there are few columns."""
    x, before = torch.randn(4096, width, generator=generator()), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(fast(x))
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
