"""Causal attention over a paged key-value cache on the CPU, whose result for a row is the same bytes in any company.

A row is one query token. Its softmax is taken online (Milakov and Gimelshein 2018) over the blocks of its keys, 32 keys
at a time from the first to the last, and every sum is made in one fixed order; which rows share a call, a chunk or a
thread changes nothing. No multiplication is fused with an addition, and exp is a polynomial of our own, so that plain
tensor operations give the same bytes (llm/inference/fixed_order.py).

Keys are kept transposed in their block, [H, 32]: scores vectorise over keys, outputs over H, and no sum over vector
lanes is needed. A few queries read bf16 where it is; many read a copy in float32, which is made once for all of them.

Legend: R rows, N query heads, K key-value heads, H d_head, P blocks of the pool, S sequences, W blocks of the longest
table, I items of work.
"""

import numpy as np

from kernels.attention_block import BLOCK, QUERIES, attend_to_block
from kernels.attention_block import DIMENSIONS as LANES
from kernels.jit import jit

ZERO, NEVER = np.float32(0.0), np.float32(-np.inf)
DENSE, BFLOAT16, INT8 = 0, 1, 2  # what a pool holds


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
def sees_as_many(distance, other):
    """Do two queries see as many keys of a block, at these distances from its first?"""
    return min(distance, BLOCK - 1) == min(other, BLOCK - 1)


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
    chunks = (width + LANES - 1) // LANES
    padded = chunks * LANES
    keys, values = np.empty(width * BLOCK, np.float32), np.zeros(padded * BLOCK, np.float32)
    key_bits, value_bits = keys.view(np.int32), values.view(np.int32)
    largest, total, slopes = np.empty(most, np.float32), np.empty(most, np.float32), np.empty(most, np.float32)
    distances, weights = np.empty(most, np.int64), np.empty(QUERIES * BLOCK, np.float32)
    output, query = np.empty((most, padded), np.float32), np.empty((most, width), np.float32)
    for i in range(item_I4.shape[0]):
        sequence, head, begin, end = item_I4[i]
        places = (end - begin) * group
        direct = kind == BFLOAT16 and width % LANES == 0 and places <= 2 * QUERIES
        for place in range(places):
            row, n = begin + place // group, head * group + place % group
            slopes[place], distances[place] = slope_N[n], position_R[row]
            largest[place], total[place] = NEVER, ZERO
            for d in range(padded):
                output[place, d] = ZERO
            for d in range(width):
                query[place, d] = query_RNH[row, n, d] * scale
        first = 0
        after, blocks = min(i + 1, item_I4.shape[0] - 1), position_R[end - 1] // BLOCK + 1
        for b in range(blocks):
            block = table_SW[sequence, b]
            if direct:
                if b + 1 < blocks:
                    next_block, next_head = table_SW[sequence, b + 1], head
                else:
                    next_block, next_head = table_SW[item_I4[after, 0], 0], item_I4[after, 1]
                of_block = (
                    key_PKE[block, head].ctypes.data,
                    value_PKE[block, head].ctypes.data,
                    key_PKE[next_block, next_head].ctypes.data,
                    value_PKE[next_block, next_head].ctypes.data,
                    2 * width,
                    2 * LANES,
                    chunks,
                )
            else:
                widen(key_PKE[block, head], kind, keys, key_bits)
                widen_values(value_PKE[block, head], width, kind, values, value_bits)
                k, v = keys.ctypes.data, values.ctypes.data
                of_block = k, v, k, v, 4 * LANES, 4 * LANES * BLOCK, chunks
            if kind == INT8:
                for s in range(BLOCK):
                    for d in range(width):
                        keys[d * BLOCK + s] *= scale_2PKB[0, block, head, s]
                        values[d // LANES * LANES * BLOCK + s * LANES + d % LANES] *= scale_2PKB[1, block, head, s]
            while distances[first] < 0:
                first += group
            place = first
            while place < places:
                n = 1
                while n < QUERIES and place + n < places and sees_as_many(distances[place], distances[place + n]):
                    n += 1
                sums = (
                    distances.ctypes.data + 8 * place,
                    slopes.ctypes.data + 4 * place,
                    largest.ctypes.data + 4 * place,
                    total.ctypes.data + 4 * place,
                    weights.ctypes.data,
                    output.ctypes.data + 4 * padded * place,
                )
                attend_to_block(n, direct, query.ctypes.data + 4 * width * place, width, of_block, sums)
                place += n
            for place in range(places):
                distances[place] = distances[place] - BLOCK
        for place in range(places):
            for d in range(width):
                output_RNH[begin + place // group, head * group + place % group, d] = output[place, d] / total[place]
