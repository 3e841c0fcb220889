"""Rounds rows of bf16 to int8 and scales sums of products back, in one pass each; the bytes are those of torch's
operators in llm/deploy/quantize/activations.py, of which a layer would need a dozen.

bf16 numbers are int16 here, the same bits. Legend: M rows, K inputs, N outputs.
"""

import numpy as np

from kernels.decoder import narrowed, widened
from kernels.jit import jit

ZERO = np.float32(0.0)
LOWEST, HIGHEST = np.float32(-128.0), np.float32(127.0)
ROUND = np.float32(12582912.0)  # 1.5 * 2^23: adding it and taking it away rounds to a whole number, ties to even


@jit
def round_rows(x_MK, half, smallest, fixed, scale_M, q_MK):
    """Write each row as whole numbers times its scale: by which its largest input is `half`, or `smallest` where all
    are zero; `fixed`: the scales are given. half, smallest: float32. q_MK: int8, or float32 that holds the same."""
    width = x_MK.shape[1]
    x = np.empty(width, np.float32)
    bits = x.view(np.int32)
    lanes = np.empty(16, np.float32)
    for row in range(x_MK.shape[0]):
        widened(x_MK[row], bits)
        if not fixed:
            lanes[:] = ZERO
            whole = width - width % 16
            for k in range(0, whole, 16):
                for i in range(16):
                    lanes[i] = max(lanes[i], abs(x[k + i]))
            largest = ZERO
            for i in range(16):
                largest = max(largest, lanes[i])
            for k in range(whole, width):
                largest = max(largest, abs(x[k]))
            scale = largest / half
            scale_M[row] = smallest if scale == ZERO else scale
        scale = scale_M[row]
        for k in range(width):
            x[k] = min(max(x[k] / scale, LOWEST), HIGHEST)
        for k in range(width):
            q_MK[row, k] = np.int8((x[k] + ROUND) - ROUND)


@jit
def scale_sums(sum_MN, scale_M, scale_N, out_MN):
    """Write sums, int32 or float32, times both scales as bf16."""
    width = sum_MN.shape[1]
    y = np.empty(width, np.float32)
    bits = y.view(np.int32)
    for row in range(sum_MN.shape[0]):
        scale = scale_M[row]
        for n in range(width):
            y[n] = np.float32(sum_MN[row, n]) * scale * scale_N[n]
        narrowed(bits, out_MN[row])
