"""Matrices that share their inputs: shrinkage gains on text that was not seen, and AWQ where inputs are large."""

import torch

from llm.deploy.quantize.awq import input_factors
from llm.deploy.quantize.gptq import correction
from llm.deploy.quantize.group import by_scales, quantize_matrix
from llm.deploy.quantize.hessian import hessian, product_error
from llm.deploy.settings.quantize import Method
from llm.model.rounding import QuantizedWeight, quantize_weight
from tests.llm.deploy.quantize.correlated import generator

INT4 = Method(bits=4, group_size=16, kind="gptq", shrinkage=0.0)


def test_shrinkage_goes_from_gptq_to_rounding():
    x = torch.randn(64, 32, generator=generator()) @ torch.randn(32, 32, generator=generator(1))
    weight = torch.randn(24, 32, generator=generator(2))
    nearest = by_scales(weight, INT4, 16, hessian(x).importance())
    assert torch.equal(by_gptq(weight, x, shrinkage=1.0).q_NK, nearest.q_NK)
    assert not torch.equal(by_gptq(weight, x, shrinkage=0.0).q_NK, nearest.q_NK)


def by_gptq(weight: torch.Tensor, x: torch.Tensor, shrinkage: float) -> QuantizedWeight:
    h = hessian(x)
    return quantize_matrix(weight, INT4, 16, h, correction(h, shrinkage=shrinkage))[0]


def test_shrinkage_gains_on_inputs_that_were_not_seen():
    """Few inputs tell correlations badly: GPTQ, which trusts them, loses to rounding on others; less trust gains."""
    mixing = torch.eye(64) + 0.1 * torch.randn(64, 64, generator=generator(3))
    few, many = (torch.randn(rows, 64, generator=generator(rows + 3)) @ mixing for rows in (96, 4000))
    weight = torch.randn(48, 64, generator=generator(4))
    own, others = hessian(few), hessian(many)
    errors = {}
    for shrinkage in (0.0, 0.3, 1.0):
        change = by_gptq(weight, few, shrinkage).dequantized() - weight
        errors[shrinkage] = product_error(change, own), product_error(change, others)
    assert errors[0.0][0] < errors[0.3][0] < errors[1.0][0]
    assert errors[0.3][1] < 0.95 * errors[1.0][1] < errors[0.0][1]


def test_awq_makes_weights_of_large_inputs_larger():
    x = torch.randn(200, 32, generator=generator(5))
    x[:, 7] *= 30
    h, weight = hessian(x), torch.randn(24, 32, generator=generator(6))
    size_K = x.abs().mean(0)

    def absmax(scaled: torch.Tensor, _: torch.Tensor) -> QuantizedWeight:
        return quantize_weight(scaled, 4, 16)

    factor_K = input_factors([weight], h, size_K, absmax)
    assert factor_K.argmax() == 7
    plain = quantize_weight(weight, 4, 16).dequantized()
    scaled = quantize_weight(weight * factor_K, 4, 16).dequantized() / factor_K
    assert product_error(scaled - weight, h) < 0.7 * product_error(plain - weight, h)


def test_awq_does_not_take_away_from_inputs_that_calibration_hardly_used():
    size_K = torch.tensor([1e-6, 1e-3, 1.0, 1.0, 8.0])
    x = torch.randn(50, 5, generator=generator(7)) * size_K
    weight = torch.randn(6, 5, generator=generator(8))
    factor_K = input_factors([weight], hessian(x), size_K, lambda scaled, _: quantize_weight(scaled, 4, None))
    assert factor_K[4] > factor_K[0] == factor_K[1] == factor_K[2]  # all at the mean, 2, at least
