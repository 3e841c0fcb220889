"""What quantization changed: measured by kernels as by torch, in fp64 and on any device's road."""

import pytest
import torch

from llm.deploy.quantize.hessian import hessian
from llm.deploy.quantize.rounding_errors import changes, compiled_changes, output_errors, weight_errors
from llm.deploy.quantize.zero_points import spanned_grid
from llm.model.rounding import QuantizedWeight, absmax_scales, quantize_weight, rounded
from tests.llm.deploy.quantize.correlated import generator

CASES = ["groups", "channels", "8 bits", "one scale", "zero points", "other levels"]


def quantized(case: str, weight_NK: torch.Tensor) -> QuantizedWeight:
    if case == "zero points":
        return rounded(weight_NK, *spanned_grid(weight_NK, 4, 16, None))
    made = quantize_weight(
        weight_NK, 4 if case != "8 bits" else 8, 16 if case != "channels" else None, case == "one scale"
    )
    if case == "other levels":
        return QuantizedWeight((made.q_NK + 1).clamp(-8, 7), -made.scale_NG, 4)
    return made


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_gives_torchs_bytes(case: str):
    weight_NK = torch.randn(20, 48, generator=generator())
    own = quantized(case, weight_NK).rows(0, 20)
    plain_NG = absmax_scales(torch.rand(own.scale_NG.shape, generator=generator(1)) + 1, own.bits)
    order_K = torch.randperm(48, generator=generator(2))
    found, expected = (make(weight_NK, own, plain_NG, order_K) for make in (compiled_changes, changes))
    assert torch.equal(found, expected)
    assert torch.equal(found[0], weight_NK[:, order_K].bfloat16())


@pytest.mark.parametrize("case", CASES)
def test_errors_of_weights_are_those_in_fp64(case: str):
    weight_NK = torch.randn(20, 48, generator=generator())
    made = quantized(case, weight_NK)
    error = (weight_NK.double() - made.dequantized().double()).abs()
    in_scales = error / made.scale_NG.double().abs().expand(20, -1).repeat_interleave(48 // made.scale_NG.shape[1], 1)
    assert weight_errors(weight_NK, made) == pytest.approx(
        {
            "max": float(error.max()),
            "mean": float(error.mean()),
            "max_in_scales": float(in_scales.max()),
            "rms_in_scales": float(in_scales.square().mean().sqrt()),
            "relative": float(error.norm() / weight_NK.double().norm()),
        },
        rel=1e-5,
    )


@pytest.mark.parametrize("case", CASES)
def test_errors_of_outputs_are_those_of_the_products(case: str):
    """In fp64, of two kinds of levels that rounding to nearest gives, and of the matrix's own."""
    weight_NK, x_MK = torch.randn(40, 64, generator=generator()), torch.randn(300, 64, generator=generator(3))
    made = quantized(case, weight_NK)
    order_K = torch.randperm(64, generator=generator(2))
    found = output_errors(weight_NK, made, case == "one scale", hessian(x_MK, order_K))
    nearest = rounded(weight_NK, made.scale_NG, made.bits, made.zero_NG)
    plain = quantize_weight(weight_NK, made.bits, 64 // made.scale_NG.shape[1], case == "one scale")
    expected = {
        name: float((x_MK.double() @ (kind.dequantized() - weight_NK).double().T).square().sum())
        / float((x_MK.double() @ weight_NK.double().T).square().sum())
        for name, kind in zip(found, (made, nearest, plain), strict=True)
    }
    assert found == pytest.approx(expected, rel=5e-3)
