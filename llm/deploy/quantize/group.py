"""Quantizes matrices that share their inputs, as the method says, and folds factors of the inputs into what makes them.

Legend: C calibration sequences, T their tokens; M = C T positions; N outputs, K inputs of a matrix.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from llm.deploy.quantize.activations import HALF, SMALLEST, searched_smoothing, smoothing_factors
from llm.deploy.quantize.awq import input_factors
from llm.deploy.quantize.fold import Fold, Made
from llm.deploy.quantize.gptq import correction, gptq
from llm.deploy.quantize.hessian import gram, product_error
from llm.deploy.quantize.scales import searched_scales
from llm.deploy.quantize.zero_points import searched_grid, spanned_grid
from llm.deploy.settings.quantize import Method
from llm.model.rounding import QuantizedWeight, quantize_weight, rounded, weight_error
from llm.model.transformer import Layer


def quantize_group(
    layer: Layer,
    part: str,
    names: list[str],
    method: Method,
    size: int | None,
    inputs: torch.Tensor | None,
    fold: Fold | None,
) -> Made:
    """Quantize matrices that share their inputs [C, T, K]. fold: where factors of the inputs go, if they may be scaled;
    `inputs` are divided by them in place."""
    linears = {name: getattr(getattr(layer, part), name) for name in names}
    h_KK = input_scale_1 = None
    if inputs is not None:
        x_MK = inputs.flatten(0, 1)
        h_KK, largest_K = x_MK.T @ x_MK if method.kind == "rtn" else gram(x_MK), x_MK.abs().amax(0)
        weights = [linear.weight for linear in linears.values()]
        if fold is not None and (factor_K := factors(method, size, weights, x_MK, h_KK, fold.tie)) is not None:
            fold.apply(factor_K)
            x_MK.div_(factor_K)
            h_KK, largest_K = h_KK / factor_K[:, None] / factor_K, largest_K / factor_K
            for linear in linears.values():
                linear.weight = nn.Parameter(linear.weight * factor_K, requires_grad=False)
        if method.activations == "static":
            input_scale_1 = (largest_K.amax() / HALF).clamp(min=SMALLEST).view(1)
    made, found = Made(), quantize_all([linear.weight for linear in linears.values()], method, size, h_KK)
    for (name, linear), (quantized, nearest) in zip(linears.items(), found, strict=True):
        weight = linear.weight
        errors = weight_error(weight, quantized)
        if h_KK is not None:
            plain = quantize_weight(weight, method.bits, size, method.per_tensor)
            errors |= output_errors(weight, quantized, nearest, plain, h_KK)
        made[f"{part}.{name}"] = replace(quantized, input_scale_1=input_scale_1), errors
        linear.weight = nn.Parameter(quantized.dequantized(), requires_grad=False)
    return made


def factors(
    method: Method,
    size: int | None,
    weights: list[torch.Tensor],
    x_MK: torch.Tensor,
    h_KK: torch.Tensor,
    tie: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor | None:
    """Return what the inputs are divided by, fp32 [K]; None where the method leaves them as they are."""

    def quantize(weight_NK: torch.Tensor, importance_K: torch.Tensor) -> QuantizedWeight:
        return by_scales(weight_NK, method, size, importance_K)

    if method.kind == "awq":
        return input_factors(weights, h_KK, x_MK.abs().mean(0), quantize)
    if method.activations is None or method.smoothing == 0:
        return None
    if method.smoothing is None:
        return searched_smoothing(weights, x_MK, tie, quantize, method.activations == "static")
    return tie(smoothing_factors(weights, x_MK.abs().amax(0), method.smoothing))


def quantize_all(
    weights: list[torch.Tensor], method: Method, size: int | None, h_KK: torch.Tensor | None
) -> list[tuple[QuantizedWeight, QuantizedWeight]]:
    """Quantize matrices that share their inputs. Returns with each what rounding to nearest gives on its scales."""
    importance_K = None if h_KK is None else h_KK.diagonal()
    nearest = [by_scales(weight_NK, method, size, importance_K) for weight_NK in weights]
    if method.kind != "gptq" or h_KK is None:
        return list(zip(nearest, nearest, strict=True))
    correct = correction(h_KK, method.act_order, method.damping, method.shrinkage)
    # A row is rounded by itself, so the rows of all matrices are rounded at once.
    scale_NG = torch.cat([each.scale_NG.expand(len(each.q_NK), -1) for each in nearest])
    zeros = [each.zero_NG for each in nearest if each.zero_NG is not None]
    whole = gptq(
        torch.cat(weights), correct, scale_NG, method.bits,
        zero_NG=torch.cat(zeros) if zeros else None, first_order=method.first_order,
    )  # fmt: skip
    parts = whole.q_NK.split([len(weight_NK) for weight_NK in weights])
    return [(replace(each, q_NK=q_NK), each) for each, q_NK in zip(nearest, parts, strict=True)]


def by_scales(
    weight_NK: torch.Tensor, method: Method, size: int | None, importance_K: torch.Tensor | None
) -> QuantizedWeight:
    """Round a matrix to nearest, with scales of the method's kind."""
    if not method.symmetric:
        make = searched_grid if method.searched else spanned_grid
        return rounded(weight_NK, *make(weight_NK, method.bits, size, importance_K))
    if not method.searched:
        return quantize_weight(weight_NK, method.bits, size, method.per_tensor)
    return rounded(weight_NK, searched_scales(weight_NK, method.bits, size, importance_K), method.bits)


def output_errors(
    weight_NK: torch.Tensor,
    quantized: QuantizedWeight,
    nearest: QuantizedWeight,
    plain: QuantizedWeight,
    h_KK: torch.Tensor,
) -> dict[str, float]:
    """Return the errors of a matrix's products with the calibration's inputs, relative and squared: its own, and those
    of rounding to nearest on its scales, and on those of the largest weights."""
    whole = max(product_error(weight_NK, h_KK), 1e-30)

    def error(one: QuantizedWeight) -> float:
        return product_error(one.dequantized() - weight_NK, h_KK) / whole

    own = error(quantized)
    on_scales = own if nearest is quantized else error(nearest)
    return {"output": own, "nearest_output": on_scales, "absmax_output": error(plain)}
