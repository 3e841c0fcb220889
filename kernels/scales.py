"""The search for the scales of groups of weights, on a CPU: sixteen rows side by side, a lane each. So a group's sums
are in the order of its weights, on every processor, and none has to be added up across lanes.

Legend: N rows, G groups, S weights of a group, C candidates, L lanes.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from kernels.jit import jit
from kernels.vectors import FLOAT, FLOATS, I64, LANES, ZEROS, called, everywhere, loaded, pointer, repeated, stored

ZERO, NONE_YET = np.float32(0.0), np.float32(np.inf)
ONES = FLOATS([1.0] * LANES)


def sums(builder, group, scale, n_sums, terms):
    """Emit sums over a group. group: addresses of weights [S, L] and of what their errors count [S], S, the lowest and
    highest level. terms(weights, counts, levels): emits what is added for a weight of each lane."""
    w, h, size, lowest, highest = group
    per_level = builder.fdiv(ONES, scale)

    def add(number, totals):
        (weights,) = loaded(builder, builder.add(w, builder.mul(number, I64(4 * LANES))))
        counts = builder.load(pointer(builder, builder.add(h, builder.mul(number, I64(4))), FLOAT))
        levels = called(builder, "llvm.rint.v16f32", FLOATS, builder.fmul(weights, per_level))
        levels = builder.select(builder.fcmp_ordered(">", levels, lowest), levels, lowest)
        levels = builder.select(builder.fcmp_ordered("<", levels, highest), levels, highest)
        added = terms(weights, everywhere(builder, counts), levels)
        return [builder.fadd(total, term) for total, term in zip(totals, added, strict=True)]

    return repeated(builder, size, [ZEROS] * n_sums, add)


def error_of(builder, group, scale):
    """Emit the weighted square error of rounding with a scale."""

    def terms(weights, counts, levels):
        error = builder.fsub(builder.fmul(levels, scale), weights)
        return [builder.fmul(counts, builder.fmul(error, error))]

    return sums(builder, group, scale, 1, terms)[0]


def fitted(builder, group, scale):
    """Emit the best scale for the levels that `scale` gives; where these are all zero, `scale`."""

    def terms(weights, counts, levels):
        weighted = builder.fmul(counts, levels)
        return [builder.fmul(weighted, weights), builder.fmul(weighted, levels)]

    top, bottom = sums(builder, group, scale, 2, terms)
    some = builder.and_(builder.fcmp_ordered(">", bottom, ZEROS), builder.fcmp_ordered("!=", top, ZEROS))
    return builder.select(some, builder.fdiv(top, bottom), scale)


def trial(fit):
    """Return an intrinsic that tries the scale start / divisor of each lane, `fit` to its levels or as it is, and puts
    it and its error to the addresses `best` and `least` [L] where it errs less than what is there."""

    def emit(typing, w, h, size, lowest, highest, start, divisor, best, least):
        def generate(context, builder, signature, arguments):
            w, h, size, lowest, highest, start, divisor, best, least = arguments
            group = w, h, size, everywhere(builder, lowest), everywhere(builder, highest)
            scale = builder.fdiv(loaded(builder, start)[0], everywhere(builder, divisor))
            scale = fitted(builder, group, scale) if fit else scale
            error, (best_yet,), (least_yet,) = (
                error_of(builder, group, scale),
                loaded(builder, best),
                loaded(builder, least),
            )
            better = builder.fcmp_ordered("<", error, least_yet)
            stored(builder, [builder.select(better, scale, best_yet)], best)
            stored(builder, [builder.select(better, error, least_yet)], least)
            return context.get_dummy_value()

        return types.void(w, h, size, lowest, highest, start, divisor, best, least), generate

    return intrinsic(emit)


try_scale: Any = trial(False)  # mypy takes `typing` for the caller's
try_fitted: Any = trial(True)


@jit
def best_scales(w_NGS, h_GS, plain, divisor_C, lowest, highest, scale_NG):
    """Write the best of each group's scales: its largest weight's size / `plain`, and those that fit the levels which
    largest weight / divisor c gives. A group of zeros has scale 1."""
    n_rows, n_groups, size = w_NGS.shape
    w_SL = np.zeros((size, LANES), np.float32)
    largest_L, size_L, best_L, least_L = np.zeros((4, LANES), np.float32)
    best, least = best_L.ctypes.data, least_L.ctypes.data
    for begin in range(0, n_rows, LANES):
        rows = min(LANES, n_rows - begin)
        for g in range(n_groups):
            for lane in range(rows):
                largest = ZERO
                for i in range(size):
                    w = w_NGS[begin + lane, g, i]
                    w_SL[i, lane] = w
                    largest = w if abs(w) > abs(largest) else largest
                largest_L[lane] = plain if largest == ZERO else largest
                size_L[lane] = abs(largest_L[lane])
            least_L[:] = NONE_YET
            group = w_SL.ctypes.data, h_GS[g].ctypes.data, size, lowest, highest
            try_scale(*group, size_L.ctypes.data, plain, best, least)
            for divisor in divisor_C:
                try_fitted(*group, largest_L.ctypes.data, divisor, best, least)
            for lane in range(rows):
                scale_NG[begin + lane, g] = best_L[lane]
    # numba frees an array after its last use by name.
    w_SL[0, 0] = largest_L[0] = size_L[0] = best_L[0] = least_L[0] = ZERO
