"""Causal attention over a paged key-value cache on the CPU, whose result for a row is the same bytes in any company.

A row is one query token. Its softmax is taken online (Milakov and Gimelshein 2018) over the blocks of its keys, 32 keys
at a time from the first to the last, and every sum is made in one fixed order; which rows share a call, a chunk or a
thread changes nothing. No multiplication is fused with an addition, and exp is the polynomial below, so that plain
tensor operations give the same bytes (llm/inference/fixed_order.py).

Keys are kept transposed in their block, [H, 32]: scores vectorise over keys, outputs over H, and no sum over vector
lanes is needed.

Legend: R rows, N query heads, K key-value heads, H d_head, P blocks of the pool, S sequences, W blocks of the longest
table, I items of work.
"""

import numpy as np

from kernels.jit import jit

BLOCK = 32
# exp(x) = 2^n e^r, |r| <= ln(2)/2, e^r by Cephes' polynomial (Moshier); within 1 unit in the last place.
LOG2E = np.float32(1.44269504)
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)
COEFFICIENTS = tuple(
    np.float32(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)
C0, C1, C2, C3, C4, C5 = COEFFICIENTS
ROUND = np.float32(12582912.0)  # 1.5 * 2^23: adding it rounds to a whole number, which stands in the low bits
ROUND_BITS = np.int32(0x4B400000)
LOWEST = np.float32(-87.0)  # below it the result would be no normal number
ONE, ZERO, NEVER = np.float32(1.0), np.float32(0.0), np.float32(-np.inf)
DENSE, BFLOAT16, INT8 = 0, 1, 2  # what a pool holds


@jit
def exponentials(x, shifted, bits):
    """Replace each of `x`, float32 [33] <= 0, by e^x. shifted, bits: the same memory, as long, as float32 and int32."""
    for s in range(BLOCK + 1):
        x[s] = max(x[s], LOWEST)
        shifted[s] = x[s] * LOG2E + ROUND
    for s in range(BLOCK + 1):
        n = shifted[s] - ROUND
        r = (x[s] - n * LN2_HIGH) - n * LN2_LOW
        y = ((((C0 * r + C1) * r + C2) * r + C3) * r + C4) * r + C5
        x[s] = (y * (r * r) + r) + ONE
    for s in range(BLOCK + 1):
        bits[s] = (bits[s] - ROUND_BITS + np.int32(127)) << np.int32(23)
    for s in range(BLOCK + 1):
        x[s] = x[s] * shifted[s]


@jit
def widen(values, kind, buffer, bits):
    """Copy a block's keys or values into `buffer` as float32; bits: its memory as int32."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if kind == BFLOAT16:
                bits[i, j] = np.int32(values[i, j]) << np.int32(16)
            else:
                buffer[i, j] = np.float32(values[i, j])


@jit
def score(query, keys, slope, distance, seen, scores):
    """Write q k / sqrt(H), with ALiBi's bias, of a block's first `seen` keys into scores; -inf for the others. query:
    divided by sqrt(H). distance: of the block's first key."""
    for s in range(BLOCK):
        scores[s] = ZERO
    width = query.shape[0]
    whole = width - width % 8
    for d in range(0, whole, 8):
        a, b, c, e = query[d], query[d + 1], query[d + 2], query[d + 3]
        f, g, h, i = query[d + 4], query[d + 5], query[d + 6], query[d + 7]
        for s in range(BLOCK):
            first = (((scores[s] + a * keys[d, s]) + b * keys[d + 1, s]) + c * keys[d + 2, s]) + e * keys[d + 3, s]
            scores[s] = (((first + f * keys[d + 4, s]) + g * keys[d + 5, s]) + h * keys[d + 6, s]) + i * keys[d + 7, s]
    for d in range(whole, width):
        a = query[d]
        for s in range(BLOCK):
            scores[s] = scores[s] + a * keys[d, s]
    if slope != ZERO:
        for s in range(BLOCK):
            scores[s] = scores[s] - slope * np.float32(distance - s)
    for s in range(seen, BLOCK):
        scores[s] = NEVER


@jit
def largest_of(scores, scratch):
    """Return the largest of a block's scores; pairs side by side, which vectorises. scratch: [16]."""
    for s in range(16):
        scratch[s] = max(scores[s], scores[s + 16])
    for s in range(8):
        scratch[s] = max(scratch[s], scratch[s + 8])
    for s in range(4):
        scratch[s] = max(scratch[s], scratch[s + 4])
    return max(max(scratch[0], scratch[2]), max(scratch[1], scratch[3]))


@jit
def sum_of(weights):
    """Return the sum of a block's weights, as a tree; they are changed."""
    for s in range(16):
        weights[s] = weights[s] + weights[s + 16]
    for s in range(8):
        weights[s] = weights[s] + weights[s + 8]
    for s in range(4):
        weights[s] = weights[s] + weights[s + 4]
    return (weights[0] + weights[2]) + (weights[1] + weights[3])


@jit
def add_values(weights, values, seen, kept, width, output):
    """Multiply the output by `kept`, and add a block's first `seen` weighted values."""
    for d in range(width):
        output[d] = output[d] * kept
    whole = seen - seen % 8
    for s in range(0, whole, 8):
        a, b, c, e = weights[s], weights[s + 1], weights[s + 2], weights[s + 3]
        f, g, h, i = weights[s + 4], weights[s + 5], weights[s + 6], weights[s + 7]
        for d in range(width):
            x = (((output[d] + a * values[s, d]) + b * values[s + 1, d]) + c * values[s + 2, d]) + e * values[s + 3, d]
            x = (((x + f * values[s + 4, d]) + g * values[s + 5, d]) + h * values[s + 6, d]) + i * values[s + 7, d]
            output[d] = x
    for s in range(whole, seen):
        a = weights[s]
        for d in range(width):
            output[d] = output[d] + a * values[s, d]


@jit
def accumulate(scores, shifted, bits, values, seen, state, output):
    """Take a block into a row's running softmax. scores [33]: the last is scratch, as shifted and bits are. state: [2],
    the largest score yet and the sum of the weights; output [H]: the weighted sum of the values."""
    largest = max(state[0], largest_of(scores, shifted))
    for s in range(BLOCK):
        scores[s] = scores[s] - largest
    scores[BLOCK] = state[0] - largest
    exponentials(scores, shifted, bits)
    kept = scores[BLOCK]
    for s in range(seen, BLOCK):
        scores[s] = ZERO
    add_values(scores, values, seen, kept, len(output), output)
    state[0] = largest
    state[1] = state[1] * kept + sum_of(scores)


@jit
def attend(query_RNH, keys_PKHB, values_PKBH, scale_2PKB, kind, table_SW, position_R, slope_N, item_I4, output_RNH):
    """Write softmax(q k / sqrt(H) + bias) v of the items' rows into `output_RNH`, float32 like `query_RNH`.

    keys_PKHB, values_PKBH: one layer's pool, float32, int16 (the bits of bfloat16) or int8, as `kind` says. scale_2PKB:
    the int8 keys' and values' scales. table_SW: each sequence's blocks. item_I4: sequence, key-value head, first row,
    end of the rows; these are of one sequence, at positions that rise. slope_N: ALiBi's, or zeros.
    """
    width = query_RNH.shape[2]
    group = query_RNH.shape[1] // keys_PKHB.shape[1]
    scale = np.float32(1.0 / np.sqrt(np.float64(width)))
    most = 0
    for i in range(item_I4.shape[0]):
        most = max(most, item_I4[i, 3] - item_I4[i, 2])
    keys, values = np.empty((width, BLOCK), np.float32), np.empty((BLOCK, width), np.float32)
    key_bits, value_bits = keys.view(np.int32), values.view(np.int32)
    scores, shifted = np.empty(BLOCK + 1, np.float32), np.empty(BLOCK + 1, np.float32)
    bits = shifted.view(np.int32)
    state = np.empty((most * group, 2), np.float32)
    output = np.empty((most * group, width), np.float32)
    query = np.empty((most * group, width), np.float32)
    for i in range(item_I4.shape[0]):
        sequence, head, begin, end = item_I4[i]
        state[:, 0], state[:, 1] = NEVER, ZERO
        output[:] = ZERO
        for row in range(begin, end):
            for g in range(group):
                for d in range(width):
                    query[(row - begin) * group + g, d] = query_RNH[row, head * group + g, d] * scale
        for b in range(position_R[end - 1] // BLOCK + 1):
            block = table_SW[sequence, b]
            widen(keys_PKHB[block, head], kind, keys, key_bits)
            widen(values_PKBH[block, head], kind, values, value_bits)
            if kind == INT8:
                for s in range(BLOCK):
                    for d in range(width):
                        keys[d, s] *= scale_2PKB[0, block, head, s]
                        values[s, d] *= scale_2PKB[1, block, head, s]
            for row in range(begin, end):
                distance = position_R[row] - b * BLOCK
                if distance < 0:
                    continue
                seen = min(BLOCK, distance + 1)
                for g in range(group):
                    n, place = head * group + g, (row - begin) * group + g
                    score(query[place], keys, slope_N[n], distance, seen, scores)
                    accumulate(scores, shifted, bits, values, seen, state[place], output[place])
        for row in range(begin, end):
            for g in range(group):
                place = (row - begin) * group + g
                for d in range(width):
                    output_RNH[row, head * group + g, d] = output[place, d] / state[place, 1]
