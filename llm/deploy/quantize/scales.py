"""Chooses the scale of each group of weights: by its largest weight, or by a search that weighs errors.

The search's grid holds scales of both signs, since 2^bits levels reach further down than up: the scale -m/8 gives the
largest weight m, of whichever sign, the level -8 exactly (llama.cpp's imatrix quantization does so too). Each candidate
is refined once by least squares for the levels that it gives; the least weighted square error wins.

Legend: N outputs, K inputs, G groups, S = K / G inputs of a group.
"""

import numpy as np
import torch

from kernels.scales import best_scales
from llm.model.rounding import absmax_scales

STEPS = 9  # to each side of the scale that gives the largest weight the lowest level
STEP = 0.1  # levels


def searched_scales(
    weight_NK: torch.Tensor, bits: int, group_size: int | None, importance_K: torch.Tensor | None = None
) -> torch.Tensor:
    """Return a scale for each group, [N, G]. importance_K: what an error of an input's weights counts, the diagonal of
    X^T X for calibration inputs X; None: all alike."""
    return search(*by_size(weight_NK, group_size, importance_K), bits)


def by_size(
    weight_NK: torch.Tensor, group_size: int | None, importance_K: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a matrix by its groups, [N, G, S], and what errors count there, [G, S]."""
    n_in = weight_NK.shape[1]
    size = group_size or n_in
    one_K = torch.ones(n_in, dtype=weight_NK.dtype, device=weight_NK.device)
    # A calibration may leave an input untouched; its weights still count a little, or nothing would hold them.
    weigh_K = one_K if importance_K is None else importance_K + 1e-6 * importance_K.mean().clamp(min=1e-30)
    return weight_NK.unflatten(1, (-1, size)), weigh_K.to(weight_NK.dtype).unflatten(0, (n_in // size, size))


def search(w_NGS: torch.Tensor, h_GS: torch.Tensor, bits: int) -> torch.Tensor:
    """Return the best scale of each group, [N, G]. On a CPU by a kernel, ten times as fast as torch, which adds
    in another order: where two scales err nearly the same, it may take the other."""
    return (compiled_search if w_NGS.is_cpu else search_by_torch)(w_NGS, h_GS, bits)


def search_by_torch(w_NGS: torch.Tensor, h_GS: torch.Tensor, bits: int) -> torch.Tensor:
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    largest_NG = w_NGS.gather(-1, w_NGS.abs().argmax(-1, keepdim=True)).squeeze(-1)
    best_NG = absmax_scales(w_NGS.abs().amax(-1), bits)
    least_NG, weighted_NGS = error_of(w_NGS, h_GS, best_NG, lowest, highest), h_GS * w_NGS
    for step in range(-STEPS, STEPS + 1):
        trial_NG = largest_NG / (lowest + STEP * step)
        trial_NG = torch.where(largest_NG == 0, best_NG, trial_NG)
        q_NGS = (w_NGS / trial_NG[..., None]).round_().clamp_(lowest, highest)
        top, bottom = (weighted_NGS * q_NGS).sum(-1), (h_GS * q_NGS).mul_(q_NGS).sum(-1)
        trial_NG = torch.where((bottom > 0) & (top != 0), top / bottom.clamp(min=1e-30), trial_NG)
        error_NG = error_of(w_NGS, h_GS, trial_NG, lowest, highest)
        better_NG = error_NG < least_NG
        best_NG = torch.where(better_NG, trial_NG, best_NG)
        least_NG = torch.where(better_NG, error_NG, least_NG)
    return best_NG


def compiled_search(w_NGS: torch.Tensor, h_GS: torch.Tensor, bits: int) -> torch.Tensor:
    """Do the same, of fp32 weights in a CPU's memory."""
    lowest = -(2 ** (bits - 1))
    divisor_C = np.array([lowest + STEP * step for step in range(-STEPS, STEPS + 1)], np.float32)
    plain = np.float32(1 / absmax_scales(torch.ones(1), bits).item())
    scale_NG = torch.empty(w_NGS.shape[:2])
    arrays = w_NGS.float().contiguous().numpy(), h_GS.float().contiguous().numpy()
    best_scales(*arrays, plain, divisor_C, np.float32(lowest), np.float32(-lowest - 1), scale_NG.numpy())
    return scale_NG


def error_of(
    w_NGS: torch.Tensor, h_GS: torch.Tensor, scale_NG: torch.Tensor, lowest: int, highest: int
) -> torch.Tensor:
    """Return the weighted square error of rounding with a scale, [N, G]."""
    q_NGS = (w_NGS / scale_NG[..., None]).round_().clamp_(lowest, highest)
    return q_NGS.mul_(scale_NG[..., None]).sub_(w_NGS).square_().mul_(h_GS).sum(-1)
