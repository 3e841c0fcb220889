"""Causal attention over a paged key-value cache on the CPU, whose result for a row is the same bytes in any company.

A row is one query token. Its softmax is taken online (Milakov and Gimelshein 2018) over the blocks of its keys, 32 keys
at a time from the first to the last, and every sum is made in one fixed order; which rows share a call, a chunk or a
thread changes nothing. No multiplication is fused with an addition, and exp is the polynomial below, so that plain
tensor operations give the same bytes (llm/inference/fixed_order.py).

Keys are kept transposed in their block, [H, 32]: scores vectorise over keys, outputs over H, and no sum over vector
lanes is needed. Blocks are copied to memory where the distance of two rows is a constant: numba else tests before each
inner loop whether any two of the rows overlap, which takes longer than the loop.

Legend: R rows, N query heads, K key-value heads, H d_head, P blocks of the pool, S sequences, W blocks of the longest
table, I items of work.
"""

import numpy as np

from kernels.jit import jit

BLOCK, LANES, UNROLLED = 32, 64, 16
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
def exponentials(x, x_bits, shifted, shifted_bits):
    """Replace each of `x`, float32 <= 0, by e^x. shifted: scratch, at least as long; bits: the same memory as int32.
    Adding n to the exponent's bits multiplies by 2^n, since no result is below the normal numbers."""
    for s in range(len(x)):
        y = max(x[s], LOWEST)
        t = y * LOG2E + ROUND
        shifted[s] = t
        n = t - ROUND
        r = (y - n * LN2_HIGH) - n * LN2_LOW
        p = ((((C0 * r + C1) * r + C2) * r + C3) * r + C4) * r + C5
        x[s] = (p * (r * r) + r) + ONE
    for s in range(len(x)):
        x_bits[s] = x_bits[s] + ((shifted_bits[s] - ROUND_BITS) << np.int32(23))


@jit
def widen(values, kind, buffer, bits):
    """Copy numbers of the pool into `buffer` as float32; bits: its memory as int32."""
    if kind == BFLOAT16:
        for i in range(len(values)):
            bits[i] = np.int32(values[i]) << np.int32(16)
    else:
        for i in range(len(values)):
            buffer[i] = np.float32(values[i])


@jit
def widen_values(values, width, kind, buffer, bits):
    """Copy a block's values [32 * H] into `buffer` as float32, LANES dimensions of all keys before the next."""
    if width == LANES:
        widen(values, kind, buffer, bits)
        return
    for begin in range(0, width, LANES):
        n = min(LANES, width - begin)
        for s in range(BLOCK):
            source, place = s * width + begin, begin * BLOCK + s * LANES
            widen(values[source : source + n], kind, buffer[place : place + n], bits[place : place + n])


@jit
def score(query, keys, begin, end, scores):
    """Write q k of a block's keys into scores [., 32], for the queries from `begin` to `end`, which are divided by
    sqrt(H). Dimensions are the outer loop: sums of different queries do not wait for each other. keys: [H * 32]."""
    width = query.shape[1]
    whole = width - width % UNROLLED
    for place in range(begin, end):
        row = scores[place]
        for s in range(BLOCK):
            row[s] = ZERO
    for d in range(0, whole, UNROLLED):
        part = keys[d * BLOCK : (d + UNROLLED) * BLOCK]
        for place in range(begin, end):
            factors, row = query[place, d : d + UNROLLED], scores[place]
            for s in range(BLOCK):
                total = row[s]
                for i in range(UNROLLED):
                    total = total + factors[i] * part[i * BLOCK + s]
                row[s] = total
    for d in range(whole, width):
        part = keys[d * BLOCK : (d + 1) * BLOCK]
        for place in range(begin, end):
            factor, row = query[place, d], scores[place]
            for s in range(BLOCK):
                row[s] = row[s] + factor * part[s]


@jit
def shift(scores, begin, end, slopes, distances, largest, kept, scratch):
    """Subtract from the queries' scores of a block ALiBi's bias, and then the largest score yet.

    That goes to `largest`, the one before less it to `kept`. Scores of keys behind a query become -inf. distances: of
    the block's first key. scratch: [8], eight scores side by side, which vectorises."""
    for place in range(begin, end):
        row, distance, before = scores[place], distances[place], largest[place]
        if slopes[place] != ZERO:
            for s in range(BLOCK):
                row[s] = row[s] - slopes[place] * np.float32(distance - s)
        for s in range(distance + 1, BLOCK):
            row[s] = NEVER
        for s in range(8):
            scratch[s] = max(max(row[s], row[s + 16]), max(row[s + 8], row[s + 24]))
        a, b = max(scratch[0], scratch[4]), max(scratch[2], scratch[6])
        c, d = max(scratch[1], scratch[5]), max(scratch[3], scratch[7])
        highest = max(before, max(max(a, b), max(c, d)))
        for s in range(BLOCK):
            row[s] = row[s] - highest
        largest[place] = highest
        kept[place] = before - highest


@jit
def add_values(weights, begin, end, values, distances, kept, total, output):
    """Multiply the queries' outputs and sums of weights by `kept`, and add a block's weighted values and its weights.
    values, output: padded to LANES dimensions. The weights are changed."""
    for place in range(begin, end):
        row, out, factor = weights[place], output[place], kept[place]
        seen = min(BLOCK, distances[place] + 1)
        whole = seen - seen % 8
        for i in range(len(out)):
            out[i] = out[i] * factor
        for first in range(0, len(out), LANES):
            part, lanes = values[first * BLOCK : (first + LANES) * BLOCK], out[first : first + LANES]
            for s in range(0, whole, 8):
                factors, rows = row[s : s + 8], part[s * LANES : (s + 8) * LANES]
                for d in range(LANES):
                    sum_ = lanes[d]
                    for i in range(8):
                        sum_ = sum_ + factors[i] * rows[i * LANES + d]
                    lanes[d] = sum_
            for s in range(whole, seen):
                weight, value = row[s], part[s * LANES : (s + 1) * LANES]
                for d in range(LANES):
                    lanes[d] = lanes[d] + weight * value[d]
        for s in range(seen, BLOCK):
            row[s] = ZERO
        for s in range(16):  # the sum of the weights as a tree
            row[s] = row[s] + row[s + 16]
        for s in range(8):
            row[s] = row[s] + row[s + 8]
        for s in range(4):
            row[s] = row[s] + row[s + 4]
        total[place] = total[place] * factor + ((row[0] + row[2]) + (row[1] + row[3]))


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
    most *= group
    shape = keys_PKHB.shape[0], keys_PKHB.shape[1], width * BLOCK
    key_PKE, value_PKE = keys_PKHB.reshape(shape), values_PKBH.reshape(shape)
    padded = (width + LANES - 1) // LANES * LANES
    keys, values = np.empty(width * BLOCK, np.float32), np.zeros(padded * BLOCK, np.float32)
    key_bits, value_bits = keys.view(np.int32), values.view(np.int32)
    flat, shifted = np.empty(most * BLOCK, np.float32), np.empty(most * BLOCK, np.float32)
    scores, flat_bits, bits = flat.reshape(most, BLOCK), flat.view(np.int32), shifted.view(np.int32)
    largest, total, kept = np.empty(most, np.float32), np.empty(most, np.float32), np.zeros(most, np.float32)
    kept_bits, slopes, distances = kept.view(np.int32), np.empty(most, np.float32), np.empty(most, np.int64)
    output, query = np.empty((most, padded), np.float32), np.empty((most, width), np.float32)
    for i in range(item_I4.shape[0]):
        sequence, head, begin, end = item_I4[i]
        places = (end - begin) * group
        for place in range(places):
            row, n = begin + place // group, head * group + place % group
            slopes[place], distances[place] = slope_N[n], position_R[row]
            largest[place], total[place] = NEVER, ZERO
            for d in range(padded):
                output[place, d] = ZERO
            for d in range(width):
                query[place, d] = query_RNH[row, n, d] * scale
        first = 0
        for b in range(position_R[end - 1] // BLOCK + 1):
            block = table_SW[sequence, b]
            widen(key_PKE[block, head], kind, keys, key_bits)
            widen_values(value_PKE[block, head], width, kind, values, value_bits)
            if kind == INT8:
                for s in range(BLOCK):
                    for d in range(width):
                        keys[d * BLOCK + s] *= scale_2PKB[0, block, head, s]
                        values[d // LANES * LANES * BLOCK + s * LANES + d % LANES] *= scale_2PKB[1, block, head, s]
            while distances[first] < 0:
                first += group
            score(query, keys, first, places, scores)
            shift(scores, first, places, slopes, distances, largest, kept, shifted)
            of_block, end_of_block = first * BLOCK, places * BLOCK
            exponentials(flat[of_block:end_of_block], flat_bits[of_block:end_of_block], shifted, bits)
            exponentials(kept[first:places], kept_bits[first:places], shifted, bits)
            add_values(scores, first, places, values, distances, kept, total, output)
            for place in range(places):
                distances[place] = distances[place] - BLOCK
        for place in range(places):
            for d in range(width):
                output_RNH[begin + place // group, head * group + place % group, d] = output[place, d] / total[place]
