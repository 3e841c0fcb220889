"""Chooses grids with a zero point: a group's 2^bits levels lie where its weights do, not around zero.

The search begins with the best symmetric grid (scales.py) and tries grids that reach from a group's least weight
upwards or from its largest downwards, all of it or less; each is refined once by least squares for the levels that it
gives. So no group's weighted square error is above that of the symmetric search.

Legend: N outputs, K inputs, G groups, S = K / G inputs of a group.
"""

import torch

from llm.deploy.quantize.scales import by_size, search
from llm.model.rounding import checked

AT_ONCE = 1 << 16  # weights that are searched at once: what a CPU keeps near
STEPS = 8  # grids that reach less and less far
STEP = 0.5  # levels by which they do

Grid = tuple[torch.Tensor, int, torch.Tensor]


def spanned_grid(
    weight_NK: torch.Tensor, bits: int, group_size: int | None, importance_K: torch.Tensor | None = None
) -> Grid:
    """Return the scale, bits, and zero point of each group, [N, G], of the grid from its least to its largest weight,
    zero among them. importance_K is not used."""
    w_NGS = checked(weight_NK, group_size)
    low_NG, high_NG = ends(w_NGS)
    scale_NG = (high_NG - low_NG) / (2**bits - 1)
    scale_NG = torch.where(scale_NG > 0, scale_NG, torch.ones_like(scale_NG))
    lowest = -(2 ** (bits - 1))
    zero_NG = (lowest - low_NG / scale_NG).round().clamp(lowest, -lowest - 1)
    return scale_NG, bits, zero_NG.to(torch.int8)


def searched_grid(
    weight_NK: torch.Tensor, bits: int, group_size: int | None, importance_K: torch.Tensor | None = None
) -> Grid:
    """Return the same by search. importance_K: what an error of an input's weights counts; None: all alike."""
    checked(weight_NK, group_size)
    w_NGS, h_GS = by_size(weight_NK, group_size, importance_K)
    rows = max(1, AT_ONCE // weight_NK.shape[1]) if weight_NK.is_cpu else len(weight_NK)
    parts = [search_grid(part_RGS, h_GS, bits) for part_RGS in w_NGS.split(rows)]
    return torch.cat([scale for scale, _ in parts]), bits, torch.cat([zero for _, zero in parts]).to(torch.int8)


def search_grid(w_NGS: torch.Tensor, h_GS: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the best scale and zero point of each group, [N, G]."""
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    low_NG, high_NG = ends(w_NGS)
    best_NG, zero_NG = search(w_NGS, h_GS, bits), torch.zeros_like(low_NG)
    least_NG = error_of(w_NGS, h_GS, best_NG, *limits(zero_NG, bits))
    for step in range(STEPS + 1):
        wide_NG = (high_NG - low_NG) / (2**bits - 1 + STEP * step)
        wide_NG = torch.where(wide_NG > 0, wide_NG, best_NG)
        for reach_NG in (lowest - low_NG / wide_NG, highest - high_NG / wide_NG):
            trial_NG = reach_NG.round().clamp(lowest, highest)
            ends_NG = limits(trial_NG, bits)
            q_NGS = levels(w_NGS, wide_NG, *ends_NG)
            top, bottom = (h_GS * w_NGS * q_NGS).sum(-1), (h_GS * q_NGS * q_NGS).sum(-1)
            scale_NG = torch.where((bottom > 0) & (top > 0), top / bottom.clamp(min=1e-30), wide_NG)
            error_NG = error_of(w_NGS, h_GS, scale_NG, *ends_NG)
            better_NG = error_NG < least_NG
            best_NG = torch.where(better_NG, scale_NG, best_NG)
            zero_NG = torch.where(better_NG, trial_NG, zero_NG)
            least_NG = torch.where(better_NG, error_NG, least_NG)
    return best_NG, zero_NG


def ends(w_NGS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the least and the largest weight of each group, with zero between them."""
    return w_NGS.amin(-1).clamp(max=0), w_NGS.amax(-1).clamp(min=0)


def limits(zero_NG: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lowest and the highest level, counted from the zero point."""
    lowest_NG = -(2 ** (bits - 1)) - zero_NG
    return lowest_NG, lowest_NG + (2**bits - 1)


def levels(
    w_NGS: torch.Tensor, scale_NG: torch.Tensor, lowest_NG: torch.Tensor, highest_NG: torch.Tensor
) -> torch.Tensor:
    """Return the whole numbers that stand for weights, counted from the zero point."""
    return (w_NGS / scale_NG[..., None]).round().clamp(lowest_NG[..., None], highest_NG[..., None])


def error_of(
    w_NGS: torch.Tensor,
    h_GS: torch.Tensor,
    scale_NG: torch.Tensor,
    lowest_NG: torch.Tensor,
    highest_NG: torch.Tensor,
) -> torch.Tensor:
    """Return the weighted square error of rounding with a grid, [N, G]."""
    q_NGS = levels(w_NGS, scale_NG, lowest_NG, highest_NG)
    return (h_GS * (w_NGS - q_NGS * scale_NG[..., None]).square()).sum(-1)
