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
from llm.deploy.quantize.gptq import Correction, correction, gptq, rounding_order
from llm.deploy.quantize.hessian import AT_ONCE, Hessian, hessian, whole
from llm.deploy.quantize.scales import searched_scales
from llm.deploy.quantize.zero_points import searched_grid, spanned_grid
from llm.deploy.settings.quantize import Method
from llm.model.rounding import QuantizedWeight, quantize_weight, rounded, weight_error
from llm.model.transformer import Layer
from llm.runtime.malloc import give_back_freed_memory

LARGE = 1 << 25  # bytes of a matrix after which freed memory is given back; what smaller ones took will be used again


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
    h = input_scale_1 = None
    if inputs is not None:
        x_MK = inputs.flatten(0, 1)
        h, largest_K = hessian(x_MK) if method.kind == "awq" else None, x_MK.abs().amax(0)
        if fold is not None and (factor_K := factors(method, size, linears, x_MK, h, fold.tie)) is not None:
            fold.apply(factor_K)
            x_MK.div_(factor_K)
            h, largest_K = h and h.divided(factor_K), largest_K / factor_K
            for linear in linears.values():
                linear.weight = nn.Parameter(linear.weight.float() * factor_K, requires_grad=False)
        if method.kind == "gptq":
            h = hessian(x_MK, rounding_order(x_MK, method.act_order))
        elif h is None:
            h = whole(x_MK.T @ x_MK)
        if method.activations == "static":
            input_scale_1 = (largest_K.amax() / HALF).clamp(min=SMALLEST).view(1)
    made = Made()
    correct = None
    if h is not None and method.kind == "gptq":
        correct = correction(h, method.damping, method.shrinkage)
    for name, linear in linears.items():
        quantized, errors = quantize_matrix(linear.weight.float(), method, size, h, correct)
        made[f"{part}.{name}"] = replace(quantized, input_scale_1=input_scale_1), errors
    large = h is not None and h.h_KK.nbytes > LARGE
    del h, correct
    if large:
        give_back_freed_memory()
    for name, linear in linears.items():
        dequantized = made[f"{part}.{name}"][0].dequantized()
        linear.weight = nn.Parameter(dequantized.bfloat16() if method.half else dequantized, requires_grad=False)
    return made


def factors(
    method: Method,
    size: int | None,
    linears: dict[str, nn.Linear],
    x_MK: torch.Tensor,
    h: Hessian | None,
    tie: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor | None:
    """Return what the inputs are divided by, fp32 [K]; None where the method leaves them as they are."""

    def quantize(weight_NK: torch.Tensor, importance_K: torch.Tensor) -> QuantizedWeight:
        return by_scales(weight_NK, method, size, importance_K)

    if h is None and (method.activations is None or method.smoothing == 0):
        return None
    weights = [linear.weight.float() for linear in linears.values()]
    if h is not None:
        return input_factors(weights, h, x_MK.abs().mean(0), quantize)
    if method.smoothing is None:
        return searched_smoothing(weights, x_MK, tie, quantize, method.activations == "static")
    return tie(smoothing_factors(weights, x_MK.abs().amax(0), method.smoothing))


def quantize_matrix(
    weight_NK: torch.Tensor, method: Method, size: int | None, h: Hessian | None, correct: Correction | None
) -> tuple[QuantizedWeight, dict[str, float]]:
    """Quantize a matrix, by GPTQ where a correction is given. Returns it with its errors."""
    nearest = by_scales(weight_NK, method, size, None if h is None else h.importance())
    quantized = nearest
    if correct is not None:
        q_NK = gptq(
            weight_NK, correct, nearest.scale_NG, method.bits, zero_NG=nearest.zero_NG, first_order=method.first_order
        ).q_NK
        quantized = replace(nearest, q_NK=q_NK)
    if weight_NK.nbytes > LARGE:
        give_back_freed_memory()
    errors = weight_error(weight_NK, quantized)
    if h is not None:
        plain = quantize_weight(weight_NK, method.bits, size, method.per_tensor)
        errors |= output_errors(weight_NK, quantized, nearest, plain, h)
    return quantized, errors


def by_scales(
    weight_NK: torch.Tensor, method: Method, size: int | None, importance_K: torch.Tensor | None
) -> QuantizedWeight:
    """Round a matrix to nearest, with scales of the method's kind."""
    if not method.symmetric:
        make = searched_grid if method.searched else spanned_grid
        return rounded(weight_NK, *make(weight_NK, method.bits, size, importance_K))
    if not method.searched:
        return quantize_weight(weight_NK, method.bits, size, method.per_tensor)
    # The bytes of rounding to nearest are those of torch's sums.
    scale_NG = searched_scales(weight_NK, method.bits, size, importance_K, compiled=method.kind != "rtn")
    return rounded(weight_NK, scale_NG, method.bits)


def output_errors(
    weight_NK: torch.Tensor,
    quantized: QuantizedWeight,
    nearest: QuantizedWeight,
    plain: QuantizedWeight,
    h: Hessian,
) -> dict[str, float]:
    """Return the errors of a matrix's products with the calibration's inputs, relative and squared: its own, and those
    of rounding to nearest on its scales, and on those of the largest weights."""
    names = {"output": quantized, "nearest_output": nearest, "absmax_output": plain}
    kinds = {id(each): each for each in names.values()}  # rounding to nearest is its own
    sums: torch.Tensor = torch.zeros(1 + len(kinds), dtype=torch.float64)
    step = max(1, AT_ONCE // weight_NK.shape[1])
    for begin in range(0, len(weight_NK), step):
        part_RK = weight_NK[begin : begin + step]
        others = [each.rows(begin, begin + step).dequantized() - part_RK for each in kinds.values()]
        sums += h.errors([part_RK, *others]).cpu()
    found = dict(zip(kinds, (sums[1:] / sums[0].clamp(min=1e-30)).tolist(), strict=True))
    return {name: found[id(each)] for name, each in names.items()}
