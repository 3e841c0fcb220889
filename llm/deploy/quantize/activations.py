"""Rounds the inputs of a layer to 8 bits, by a scale for each token or by a fixed one, and makes that easier before.

SmoothQuant (Xiao et al. 2022, arXiv:2211.10438): a few inputs of a layer are much larger than the others, which an
8-bit grid then rounds to nothing. Dividing them by max|x|^a / max|W|^(1 - a) moves their size into the weights.

Legend: T tokens, K inputs, N outputs.
"""

import torch

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
