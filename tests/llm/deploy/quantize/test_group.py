"""Matrices that share their inputs: shrinkage gains on text that was not seen, and AWQ where inputs are large."""

import torch

from llm.deploy.quantize.awq import input_factors
from llm.deploy.quantize.group import by_scales, quantize_all
from llm.deploy.quantize.hessian import product_error, shrink
from llm.deploy.settings.quantize import Method
from llm.model.rounding import QuantizedWeight, quantize_weight
from tests.llm.deploy.quantize.correlated import generator

INT4 = Method(bits=4, group_size=16, kind="gptq", shrinkage=0.0)


def test_shrinkage_goes_from_gptq_to_rounding():
    x = torch.randn(64, 32, generator=generator()) @ torch.randn(32, 32, generator=generator(1))
    h_KK, weight = x.T @ x, torch.randn(24, 32, generator=generator(2))
    nearest = by_scales(weight, INT4, 16, h_KK.diagonal())
    none = Method(bits=4, group_size=16, kind="gptq", shrinkage=1.0)
    assert torch.equal(quantize_all([weight], none, 16, h_KK)[0][0].q_NK, nearest.q_NK)
    assert not torch.equal(quantize_all([weight], INT4, 16, h_KK)[0][0].q_NK, nearest.q_NK)
    assert torch.equal(shrink(h_KK.clone(), 0.25).diagonal(), h_KK.diagonal())
    assert torch.allclose(shrink(h_KK.clone(), 0.25)[0, 1:], 0.75 * h_KK[0, 1:])


def test_shrinkage_gains_on_inputs_that_were_not_seen():
    """Few inputs tell correlations badly: GPTQ, which trusts them, loses to rounding on others; less trust gains."""
    mixing = torch.eye(64) + 0.1 * torch.randn(64, 64, generator=generator(3))
    few, many = (torch.randn(rows, 64, generator=generator(rows + 3)) @ mixing for rows in (96, 4000))
    weight = torch.randn(48, 64, generator=generator(4))
    h_KK, others_KK = few.T @ few, many.T @ many
    errors = {}
    for shrinkage in (0.0, 0.3, 1.0):
        method = Method(bits=4, group_size=16, kind="gptq", shrinkage=shrinkage)
        change = quantize_all([weight], method, 16, h_KK)[0][0].dequantized() - weight
        errors[shrinkage] = product_error(change, h_KK), product_error(change, others_KK)
    assert errors[0.0][0] < errors[0.3][0] < errors[1.0][0]
    assert errors[0.3][1] < 0.95 * errors[1.0][1] < errors[0.0][1]


def test_awq_makes_weights_of_large_inputs_larger():
    x = torch.randn(200, 32, generator=generator(5))
    x[:, 7] *= 30
    h_KK, weight = x.T @ x, torch.randn(24, 32, generator=generator(6))
    size_K = x.abs().mean(0)

    def absmax(scaled: torch.Tensor, _: torch.Tensor) -> QuantizedWeight:
        return quantize_weight(scaled, 4, 16)

    factor_K = input_factors([weight], h_KK, size_K, absmax)
    assert factor_K.argmax() == 7
    plain = quantize_weight(weight, 4, 16).dequantized()
    scaled = quantize_weight(weight * factor_K, 4, 16).dequantized() / factor_K
    assert product_error(scaled - weight, h_KK) < 0.7 * product_error(plain - weight, h_KK)


def test_awq_does_not_take_away_from_inputs_that_calibration_hardly_used():
    size_K = torch.tensor([1e-6, 1e-3, 1.0, 1.0, 8.0])
    x = torch.randn(50, 5, generator=generator(7)) * size_K
    weight = torch.randn(6, 5, generator=generator(8))
    factor_K = input_factors([weight], x.T @ x, size_K, lambda scaled, _: quantize_weight(scaled, 4, None))
    assert factor_K[4] > factor_K[0] == factor_K[1] == factor_K[2]  # all at the mean, 2, at least
