"""Measures what quantization changes: a matrix's weights, and its products with the calibration's inputs.

Legend: N outputs, K inputs, G groups of K / G inputs; C kinds of levels.
"""

import math

import numpy as np
import torch

from kernels.rounding_errors import sum_errors, write_changes
from llm.deploy.quantize.hessian import AT_ONCE, Hessian
from llm.model.rounding import QuantizedWeight, absmax_scales, by_group, largest_of, rounded

KINDS = ["output", "nearest_output", "absmax_output"]


def weight_errors(weight_NK: torch.Tensor, quantized: QuantizedWeight) -> dict[str, float]:
    """Measure the approximation's error, to compare with what uniform rounding would give. weight_NK: fp32.

    `max_in_scales` is <= 0.5 and `rms_in_scales` near 1/sqrt(12) = 0.289 by theory; `max`, `mean` are absolute errors
    in the weight's unit; `relative` is |W - W'| / |W| in the Frobenius norm.
    """
    found = np.zeros(6)
    sum_errors(found, *grouped(weight_NK, quantized))
    largest, largest_in_scales, total, squares, squares_in_scales, own_squares = found.tolist()
    return {
        "max": largest,
        "mean": total / weight_NK.numel(),
        "max_in_scales": largest_in_scales,
        "rms_in_scales": math.sqrt(squares_in_scales / weight_NK.numel()),
        "relative": math.sqrt(squares) / max(math.sqrt(own_squares), 1e-30),
    }


def grouped(weight_NK: torch.Tensor, quantized: QuantizedWeight) -> tuple[np.ndarray, ...]:
    """Return a matrix, its levels, scales and zero points as kernels read them: [N, G, K / G] twice, [N, G] twice."""
    scale_NG = quantized.rows(0, len(weight_NK)).scale_NG
    zero_NG = torch.zeros_like(scale_NG, dtype=torch.int8) if quantized.zero_NG is None else quantized.zero_NG
    parts = by_group(weight_NK, scale_NG), by_group(quantized.q_NK, scale_NG), scale_NG, zero_NG
    return tuple(part.contiguous().cpu().numpy() for part in parts)


def output_errors(
    weight_NK: torch.Tensor, quantized: QuantizedWeight, per_tensor: bool, h: Hessian
) -> dict[str, float]:
    """Return the errors of a matrix's products with the calibration's inputs, relative and squared: its own, and those
    of rounding to nearest on its scales, and on those of the largest weights."""
    sums = torch.zeros(1 + len(KINDS), dtype=torch.float64)
    step = max(1, AT_ONCE // weight_NK.shape[1])
    # A few rows at a time: the other levels of a whole matrix would be memory.
    for begin in range(0, len(weight_NK), step):
        part_NK, own = weight_NK[begin : begin + step], quantized.rows(begin, begin + step)
        # One scale for the whole matrix is that of its largest weight.
        plain_NG = own.scale_NG if per_tensor else absmax_scales(largest_of(by_group(part_NK, own.scale_NG)), own.bits)
        make = compiled_changes if part_NK.is_cpu else changes
        sums += h.errors(make(part_NK, own, plain_NG, h.order_K)).cpu()
    return dict(zip(KINDS, (sums[1:] / sums[0].clamp(min=1e-30)).tolist(), strict=True))


def changes(
    weight_NK: torch.Tensor, own: QuantizedWeight, plain_NG: torch.Tensor, order_K: torch.Tensor
) -> torch.Tensor:
    """Return a matrix and, for each of KINDS, what its levels change, bf16 [1 + C, N, K], inputs in this order."""
    nearest = rounded(weight_NK, own.scale_NG, own.bits, own.zero_NG)
    kinds = [own, nearest, rounded(weight_NK, plain_NG, own.bits)]
    return torch.stack([weight_NK, *(kind.dequantized() - weight_NK for kind in kinds)]).bfloat16()[..., order_K]


def compiled_changes(
    weight_NK: torch.Tensor, own: QuantizedWeight, plain_NG: torch.Tensor, order_K: torch.Tensor
) -> torch.Tensor:
    """Do the same by a kernel, on a CPU."""
    limit, half_CNK = 2 ** (own.bits - 1), torch.empty(1 + len(KINDS), *weight_NK.shape, dtype=torch.bfloat16)
    places = half_CNK.view(torch.int16).numpy(), torch.argsort(order_K).numpy()
    given = plain_NG.contiguous().numpy(), np.float32(-limit), np.float32(limit - 1)
    write_changes(*places, *given, *grouped(weight_NK, own))
    return half_CNK
