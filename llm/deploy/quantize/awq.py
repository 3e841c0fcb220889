"""AWQ (Lin et al. 2023, arXiv:2306.00978): before rounding, weights whose inputs are large are made larger and the
inputs smaller by as much, which leaves the product as it is and the important weights with less error.

The factors of inputs are mean|x|^alpha; alpha is chosen from a grid by the error of the rounded products on calibration
inputs, which H = X^T X gives: tr(dW H dW^T). They fold into the norm before.

Only gate and up get factors. Query, key and value would err less, too, by a half of these products, but the model more:
what is saved there is mostly an error that all tokens have in common, of inputs that hardly change. The inputs of
`down`, whose factors could fold into the rows of up, are other ones in other text.

Legend: N outputs, K inputs.
"""

import math
from collections.abc import Callable

import torch

from llm.deploy.quantize.hessian import AT_ONCE, Hessian, product_error
from llm.model.rounding import QuantizedWeight

GRID = 10


def input_factors(
    weights: list[torch.Tensor],
    h: Hessian,
    magnitude_K: torch.Tensor,
    quantize: Callable[[torch.Tensor, torch.Tensor], QuantizedWeight],
) -> torch.Tensor:
    """Return the factors of the inputs that matrices [N, K] share, fp32 [K]. magnitude_K: mean |x|. quantize: rounds
    a matrix, given the diagonal of its inputs' H."""
    # An input below the mean counts as the mean: what calibration hardly used may be large in other text, and its
    # weights, made small, would be rounded to nothing.
    base_K = magnitude_K.clamp(min=float(magnitude_K.mean().clamp(min=1e-30)))
    importance_K = h.importance()
    best_K, least = torch.ones_like(base_K), float("inf")
    for step in range(GRID + 1):
        factor_K = base_K ** (step / GRID)
        factor_K = factor_K / math.sqrt(float(factor_K.max() * factor_K.min()))
        error = 0.0
        for weight_NK in weights:
            for rows in weight_NK.split(max(1, AT_ONCE // weight_NK.shape[1])):  # a row is rounded by itself
                weight_RK = rows.float()
                scaled = quantize(weight_RK * factor_K, importance_K / factor_K.square())
                error += product_error(scaled.dequantized() / factor_K - weight_RK, h)
        if error < least:
            best_K, least = factor_K, error
    return best_K
