"""Measures on a CPU what rounding did to a matrix: one pass over it, where torch's operators would make a dozen.

Numbers are finite here. bf16 numbers are int16, the same bits. Legend: R rows, G groups of a row, S weights of a group,
K inputs, C kinds of levels.
"""

import numpy as np

from kernels.decoder import narrowed
from kernels.jit import jit, jit_sums
from kernels.vectors import ROUND

ZERO = np.float32(0.0)


@jit_sums
def distances(w_S, q_S, scale, zero):
    """Return the sum of |w - (q - zero) scale|, of its square, and of w's."""
    total = squares = own_squares = ZERO
    for i in range(len(w_S)):
        error = w_S[i] - (np.float32(q_S[i]) - zero) * scale
        total += abs(error)
        squares += error * error
        own_squares += w_S[i] * w_S[i]
    return total, squares, own_squares


@jit
def largest_distance(w_S, q_S, scale, zero):
    largest = ZERO
    for i in range(len(w_S)):
        largest = max(largest, abs(w_S[i] - (np.float32(q_S[i]) - zero) * scale))
    return largest


@jit
def sum_errors(found, w_RGS, q_RGS, scale_RG, zero_RG):
    """Write the largest error, and in scales; the sum of errors; of their squares, in scales, too; of weights' squares;
    fp64."""
    found[:] = 0.0
    for r in range(len(w_RGS)):
        for g in range(scale_RG.shape[1]):
            w_S, q_S, scale, zero = w_RGS[r, g], q_RGS[r, g], scale_RG[r, g], np.float32(zero_RG[r, g])
            largest, size = np.float64(largest_distance(w_S, q_S, scale, zero)), abs(np.float64(scale))
            total, squares, own_squares = distances(w_S, q_S, scale, zero)
            found[0], found[1] = max(found[0], largest), max(found[1], largest / size)
            found[2] += total
            found[3] += squares
            found[4] += squares / (size * size)
            found[5] += own_squares


@jit
def change(w_S, scale, zero, lowest, highest, change_S):
    """Write what rounding to nearest changes."""
    for i in range(len(w_S)):
        level = min(max(w_S[i] / scale, lowest - zero), highest - zero)
        change_S[i] = ((level + ROUND) - ROUND) * scale - w_S[i]


@jit
def scatter(bits_K, place_K, short_K, half_K):
    """Write float32, given by their bits, as bf16, each in its place. short_K: memory to work in."""
    narrowed(bits_K, short_K)
    for i in range(len(short_K)):
        half_K[place_K[i]] = short_K[i]


@jit
def write_changes(half_CRK, place_K, plain_RG, lowest, highest, w_RGS, q_RGS, scale_RG, zero_RG):
    """Write the weights in bf16, and what was changed in them: by the levels q, by rounding to nearest on their grid,
    and by rounding to nearest with the scales plain_RG. place_K: of each input."""
    n_groups, size = w_RGS.shape[1:]
    row_CGS = np.empty((4, n_groups, size), np.float32)
    bits_CK, short_K = row_CGS.reshape(4, -1).view(np.int32), np.empty(n_groups * size, np.int16)
    for r in range(len(w_RGS)):
        for g in range(n_groups):
            w_S, q_S, scale, zero = w_RGS[r, g], q_RGS[r, g], scale_RG[r, g], np.float32(zero_RG[r, g])
            kept_S, own_S = row_CGS[0, g], row_CGS[1, g]
            for i in range(size):
                kept_S[i] = w_S[i]
                own_S[i] = (np.float32(q_S[i]) - zero) * scale - w_S[i]
            change(w_S, scale, zero, lowest, highest, row_CGS[2, g])
            change(w_S, plain_RG[r, g], ZERO, lowest, highest, row_CGS[3, g])
        for c in range(len(half_CRK)):
            scatter(bits_CK[c], place_K, short_K, half_CRK[c, r])


@jit_sums
def dot(a_K, b_K):
    """Return the sum of the products of bf16 numbers, in fp32."""
    total = ZERO
    for i in range(len(a_K)):
        a, b = np.int32(a_K[i] << 16), np.int32(b_K[i] << 16)
        total += a.view(np.float32) * b.view(np.float32)
    return total


@jit
def add_dots(sum_C, begin, product_CRB, half_CRK):
    """Add up the products of bf16 numbers of each kind, fp64; those of half_CRK from `begin` on."""
    n_kinds, n_rows, width = product_CRB.shape
    for c in range(n_kinds):
        for r in range(n_rows):
            sum_C[c] += np.float64(dot(product_CRB[c, r], half_CRK[c, r, begin : begin + width]))
