"""Rounds the inputs of a layer to 8 bits, by a scale for each token or by a fixed one, and makes that easier before.

SmoothQuant (Xiao et al. 2022, arXiv:2211.10438): a few inputs of a layer are much larger than the others, which an
8-bit grid then rounds to nothing. Dividing them by max|x|^a / max|W|^(1 - a) moves their size into the weights. Which a
is best differs from layer to layer, so it is searched for each group of matrices, by what their products err.

Legend: T tokens, M positions, S some of them, K inputs, N outputs.
"""

from collections.abc import Callable

import torch

from llm.model.rounding import QuantizedWeight

STRENGTHS = tuple(step / 10 for step in range(1, 10))
POSITIONS = 512  # about so many are tried
HALF = 127.5  # steps of the grid to each side, as in compressed-tensors
SMALLEST = torch.finfo(torch.float32).eps


def rounded_inputs(x_TK: torch.Tensor, scale_1: torch.Tensor | None) -> torch.Tensor:
    """Return inputs as the 8-bit grid has them. scale_1: of all of them; None: each token has its own. More axes may
    stand before."""
    scale = input_scales(x_TK) if scale_1 is None else scale_1
    return on_grid(x_TK, scale) * scale


def on_grid(x_TK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return the whole numbers, in the inputs' dtype, that stand for inputs on the grid of a scale."""
    return (x_TK / scale).round().clamp(-128, 127)


def input_scales(x_TK: torch.Tensor) -> torch.Tensor:
    """Return the scale by which each token's largest input lies at the grid's end, [T, 1]."""
    scale_T1 = x_TK.abs().amax(-1, keepdim=True) / HALF
    return torch.where(scale_T1 == 0, torch.full_like(scale_T1, SMALLEST), scale_T1)


def smoothing_factors(weights: list[torch.Tensor], largest_K: torch.Tensor, strength: float) -> torch.Tensor:
    """Return what the inputs of matrices [N, K] are divided by, fp32 [K]. largest_K: max |x|. strength: 1 leaves all
    inputs equally large, 0 all weights. An input that is always zero keeps its weights."""
    weight_K = torch.stack([weight.abs().amax(0) for weight in weights]).amax(0)
    factor_K = largest_K**strength / weight_K.clamp(min=1e-5) ** (1 - strength)
    return torch.where(largest_K > 0, factor_K.clamp(min=1e-5), torch.ones_like(factor_K))


def searched_smoothing(
    weights: list[torch.Tensor],
    x_MK: torch.Tensor,
    tie: Callable[[torch.Tensor], torch.Tensor],
    quantize: Callable[[torch.Tensor, torch.Tensor], QuantizedWeight],
    static: bool,
) -> torch.Tensor | None:
    """Return the factors of that strength with which rounded inputs times rounded matrices [N, K] err least; None where
    none errs less than without. Half of the positions say how large inputs are, the others what is erred with that.
    tie: makes factors equal that have to be. quantize: rounds a matrix, given the diagonal of its inputs' X^T X.
    static: inputs have one scale."""
    known_K, x_SK = x_MK[::2].abs().amax(0), x_MK[1 :: max(2, len(x_MK) // POSITIONS)]
    importance_K, products = x_SK.square().sum(0), [x_SK @ weight.T for weight in weights]

    def error(factor_K: torch.Tensor) -> float:
        scale_1 = ((known_K / factor_K).amax() / HALF).clamp(min=SMALLEST).view(1) if static else None
        own_SK, found = rounded_inputs(x_SK / factor_K, scale_1), 0.0
        for weight_NK, product_SN in zip(weights, products, strict=True):
            rounded = quantize(weight_NK * factor_K, importance_K / factor_K.square()).dequantized()
            found += float((own_SK @ rounded.T - product_SN).square().sum(dtype=torch.float64))
        return found

    errors = {strength: error(tie(smoothing_factors(weights, known_K, strength))) for strength in STRENGTHS}
    best = min(STRENGTHS, key=errors.__getitem__)
    if errors[best] >= error(torch.ones_like(known_K)):
        return None
    return tie(smoothing_factors(weights, x_MK.abs().amax(0), best))
