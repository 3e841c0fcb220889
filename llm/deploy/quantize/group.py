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
from llm.deploy.quantize.hessian import Hessian, hessian
from llm.deploy.quantize.rounding_errors import output_errors, weight_errors
from llm.deploy.quantize.scales import searched_scales
from llm.deploy.quantize.zero_points import searched_grid, spanned_grid
from llm.deploy.settings.quantize import Method
from llm.model.rounding import QuantizedWeight, quantize_weight, rounded
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
    """Quantize matrices that share their inputs [C, T, K], and leave the rounded ones in the layer (none
    without inputs, which would go through them). What the method keeps stays, in fp32. fold: where factors of the
    inputs go, if they may be scaled; `inputs` are divided by them in place."""
    linears = {name: getattr(getattr(layer, part), name) for name in names}
    if linears.keys() & set(method.keep):  # layout_for says: all or none of a group
        for linear in linears.values():
            linear.weight = nn.Parameter(linear.weight.float(), requires_grad=False)
        return Made()
    h = input_scale_1 = None
    if inputs is not None:
        x_MK = inputs.flatten(0, 1)
        h = hessian(x_MK) if method.kind == "awq" else None
        if fold is not None and (factor_K := factors(method, size, linears, x_MK, h, fold.tie)) is not None:
            fold.apply(factor_K)
            x_MK.div_(factor_K)
            h = h and h.divided(factor_K)
            for linear in linears.values():
                linear.weight = nn.Parameter(linear.weight.float() * factor_K, requires_grad=False)
        if h is None:
            h = hessian(x_MK, rounding_order(x_MK, method.act_order) if method.kind == "gptq" else None)
        if method.activations == "static":
            input_scale_1 = (x_MK.abs().amax() / HALF).clamp(min=SMALLEST).view(1)
    made = Made()
    correct = None
    if h is not None and method.kind == "gptq":
        correct = correction(h, method.damping, method.shrinkage)
    for name, linear in linears.items():
        weight_NK = linear.weight.float()
        release(linear)
        quantized, errors = quantize_matrix(weight_NK, method, size, h, correct)
        made[f"{part}.{name}"] = replace(quantized, input_scale_1=input_scale_1), errors
        del weight_NK
    large = h is not None and h.h_KK.nbytes > LARGE
    del h, correct
    if large:
        give_back_freed_memory()
    for name, linear in linears.items() if inputs is not None else ():
        dequantized = made[f"{part}.{name}"][0].dequantized()
        linear.weight = nn.Parameter(dequantized.bfloat16() if method.half else dequantized, requires_grad=False)
    return made


def release(*linears: nn.Linear) -> None:
    """Let go of matrices that are not used any more."""
    for linear in linears:
        linear.weight = nn.Parameter(linear.weight.new_empty(0), requires_grad=False)


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
    if h is not None:
        weights = [linear.weight for linear in linears.values()]
        return input_factors(weights, h, x_MK.abs().mean(0), quantize)
    weights = [linear.weight.float() for linear in linears.values()]
    if method.smoothing is None:
        return searched_smoothing(weights, x_MK, tie, quantize, method.activations == "static")
    return tie(smoothing_factors(weights, x_MK.abs().amax(0), method.smoothing))


def quantize_matrix(
    weight_NK: torch.Tensor, method: Method, size: int | None, h: Hessian | None, correct: Correction | None
) -> tuple[QuantizedWeight, dict[str, float]]:
    """Quantize a matrix, by GPTQ where a correction is given. Returns it with its errors."""
    quantized = by_scales(weight_NK, method, size, None if h is None else h.importance())
    scale_NG, zero_NG = quantized.scale_NG, quantized.zero_NG
    if correct is not None:
        del quantized
        quantized = gptq(weight_NK, correct, scale_NG, method.bits, zero_NG=zero_NG, first_order=method.first_order)
    if weight_NK.nbytes > LARGE:
        give_back_freed_memory()
    errors = weight_errors(weight_NK, quantized)
    if h is not None:
        errors |= output_errors(weight_NK, quantized, method.per_tensor, h)
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
    return rounded(weight_NK, searched_scales(weight_NK, method.bits, size, importance_K), method.bits)
