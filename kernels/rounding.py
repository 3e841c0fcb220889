"""GPTQ's inner loop on a CPU: the columns of a block, one after the other.

Legend: B columns of a block, N outputs, G groups of columns that share scales.
"""

import numpy as np

from kernels.jit import jit
from kernels.vectors import ROUND

TILE = 256  # outputs whose columns of a block a CPU keeps near
TOGETHER = 4  # columns whose errors go to those before them in one pass


@jit
def round_columns(lowest, highest, w_BN, raw_BN, scale_GN, zero_GN, group_B, back_BB, drift_B, q_BN, error_BN):
    """Do what `columns` of llm/deploy/quantize/gptq.py does by torch, some outputs after the other."""
    n_columns, n_out = w_BN.shape
    level_N = np.empty(TILE, np.float32)
    for begin in range(0, n_out, TILE):
        end = min(begin + TILE, n_out)
        for last in range(n_columns, 0, -TOGETHER):
            first = max(last - TOGETHER, 0)
            for k in range(last - 1, first - 1, -1):
                w, raw, q, error = w_BN[k, begin:end], raw_BN[k, begin:end], q_BN[k, begin:end], error_BN[k, begin:end]
                scale, zero = scale_GN[group_B[k], begin:end], zero_GN[group_B[k], begin:end]
                for n in range(end - begin):
                    level = min(max(w[n] / scale[n], lowest - zero[n]), highest - zero[n])
                    level_N[n] = (level + ROUND) - ROUND
                drift = drift_B[k]
                for n in range(end - begin):
                    error[n] = raw[n] - level_N[n] * scale[n] - (w[n] - raw[n]) * drift
                for n in range(end - begin):
                    q[n] = np.int8(level_N[n] + zero[n])
                for j in range(first, k):
                    add_scaled(w_BN[j, begin:end], back_BB[k, j], error)
            if last - first == TOGETHER:
                add_four(w_BN, back_BB, error_BN, first, begin, end)
            else:
                for k in range(last - 1, first - 1, -1):
                    for j in range(first):
                        add_scaled(w_BN[j, begin:end], back_BB[k, j], error_BN[k, begin:end])


@jit
def add_scaled(y, factor, x):
    for i in range(len(y)):
        y[i] = y[i] + factor * x[i]


@jit
def add_four(w_BN, back_BB, error_BN, k, begin, end):
    """Do the same for all columns before k, with the errors of k + 3 to k: the same bits, and each is read and written
    once."""
    x_a, x_b, x_c, x_d = (
        error_BN[k + 3, begin:end],
        error_BN[k + 2, begin:end],
        error_BN[k + 1, begin:end],
        error_BN[k, begin:end],
    )
    for j in range(k):
        y, a, b, c, d = w_BN[j, begin:end], back_BB[k + 3, j], back_BB[k + 2, j], back_BB[k + 1, j], back_BB[k, j]
        for i in range(len(y)):
            y[i] = (((y[i] + a * x_a[i]) + b * x_b[i]) + c * x_c[i]) + d * x_d[i]
