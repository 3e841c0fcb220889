"""The two inner loops of quantization on a CPU: the choice among a group's scales, and GPTQ's columns.

Legend: R groups of all rows, G of one, S weights of a group, C candidates; B columns of a block, N outputs.
"""

import numpy as np

from kernels.jit import jit, jit_sums

ZERO, ONE = np.float32(0.0), np.float32(1.0)
TILE = 256  # outputs whose columns of a block a CPU keeps near


@jit_sums
def fit(w_S, h_S, scale, lowest, highest):
    """Return the two weighted sums whose ratio is the best scale for the levels that `scale` gives."""
    top, bottom, per_level = ZERO, ZERO, ONE / scale
    for i in range(len(w_S)):
        q = min(max(np.rint(w_S[i] * per_level), lowest), highest)
        weighted = h_S[i] * q
        top += weighted * w_S[i]
        bottom += weighted * q
    return top, bottom


@jit_sums
def error_of(w_S, h_S, scale, lowest, highest):
    """Return the weighted square error of rounding with a scale."""
    total, per_level = ZERO, ONE / scale
    for i in range(len(w_S)):
        error = min(max(np.rint(w_S[i] * per_level), lowest), highest) * scale - w_S[i]
        total += h_S[i] * (error * error)
    return total


@jit
def best_scales(w_RS, h_GS, plain, divisor_C, lowest, highest, scale_R):
    """Write the best of each group's scales: its largest weight's size / `plain`, and those that fit the levels which
    largest weight / divisor c gives. A group of zeros has scale 1."""
    for r in range(len(w_RS)):
        w_S, h_S = w_RS[r], h_GS[r % len(h_GS)]
        largest = ZERO
        for i in range(len(w_S)):
            if abs(w_S[i]) > abs(largest):
                largest = w_S[i]
        if largest == ZERO:
            scale_R[r] = ONE
            continue
        scale_R[r] = abs(largest) / plain
        least = error_of(w_S, h_S, scale_R[r], lowest, highest)
        for c in range(len(divisor_C)):
            trial = largest / divisor_C[c]
            top, bottom = fit(w_S, h_S, trial, lowest, highest)
            if bottom > ZERO and top != ZERO:
                trial = top / bottom
            error = error_of(w_S, h_S, trial, lowest, highest)
            if error < least:
                least, scale_R[r] = error, trial


@jit
def round_columns(lowest, highest, w_BN, raw_BN, scale_BN, zero_BN, back_BB, drift_B, q_BN, error_BN):
    """Do what `columns` of llm/deploy/quantize/gptq.py does by torch, some outputs after the other."""
    n_columns, n_out = w_BN.shape
    for begin in range(0, n_out, TILE):
        end = min(begin + TILE, n_out)
        for k in range(n_columns - 1, -1, -1):
            w, raw, scale, zero = (
                w_BN[k, begin:end],
                raw_BN[k, begin:end],
                scale_BN[k, begin:end],
                zero_BN[k, begin:end],
            )
            q, error = q_BN[k, begin:end], error_BN[k, begin:end]
            for n in range(end - begin):
                q[n] = min(max(np.rint(w[n] / scale[n]), lowest - zero[n]), highest - zero[n])
            drift = drift_B[k]
            for n in range(end - begin):
                error[n] = raw[n] - q[n] * scale[n] - (w[n] - raw[n]) * drift
            for j in range(k):
                add_scaled(w_BN[j, begin:end], back_BB[k, j], error)


@jit
def add_scaled(y, factor, x):
    for i in range(len(y)):
        y[i] = y[i] + factor * x[i]
