"""What attention does with one block of 32 keys: scores, weights, and the sum of the weighted values. Every sum has one
order; kernels/attention.py says which.

Up to four queries share what is read of a block. Arrays are told by their addresses; the queries' numbers lie one after
the other, float32. Legend: H d_head.
"""

import numpy as np
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic

from kernels.jit import jit
from kernels.vectors import (
    FLOAT,
    FLOATS,
    I32,
    I64,
    LANES,
    ROUND,
    WHOLE,
    ZEROS,
    asked,
    everywhere,
    loaded,
    pointer,
    repeated,
    stored,
    widened,
)

BLOCK, DIMENSIONS = 32, 64  # keys; dimensions of the values that are summed together
QUERIES = 4
PARTS = range(BLOCK // LANES)
# exp(x) = 2^n e^r, |r| <= ln(2)/2, e^r by Cephes' polynomial (Moshier); within 1 unit in the last place.
COEFFICIENTS = 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1
LOG2E, LN2_HIGH, LN2_LOW = 1.44269504, 0.693359375, -2.12194440e-4
LOWEST = -87.0  # below it the result would be no normal number
ROUND_BITS = 0x4B400000  # of ROUND
NEVER = FLOATS([float("-inf")] * LANES)


def floats(number):
    """Return 16 times the float32 next to a number, which LLVM's text wants exactly."""
    return FLOATS([float(np.float32(number))] * LANES)


def larger(builder, x, y):
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


def turned(builder, x, n):
    """Return a vector whose first number is the one at `n`, and so on round."""
    return builder.shuffle_vector(x, x, WHOLE([(lane + n) % LANES for lane in range(LANES)]))


def exponential(builder, x):
    """Emit e^x for x <= 0. Adding n to the exponent's bits multiplies by 2^n, since no result is below the normal
    numbers; what is no number stays none."""
    x = builder.select(builder.fcmp_ordered("<", x, floats(LOWEST)), floats(LOWEST), x)
    shifted = builder.fadd(builder.fmul(x, floats(LOG2E)), floats(ROUND))
    n = builder.fsub(shifted, floats(ROUND))
    r = builder.fsub(builder.fsub(x, builder.fmul(n, floats(LN2_HIGH))), builder.fmul(n, floats(LN2_LOW)))
    y = floats(COEFFICIENTS[0])
    for c in COEFFICIENTS[1:]:
        y = builder.fadd(builder.fmul(y, r), floats(c))
    y = builder.fadd(builder.fadd(builder.fmul(y, builder.fmul(r, r)), r), floats(1.0))
    exponent = builder.sub(builder.bitcast(shifted, WHOLE), WHOLE([ROUND_BITS] * LANES))
    power = builder.shl(exponent, WHOLE([23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(y, WHOLE), power), FLOATS)


def plus_products(builder, sums, factors, parts):
    """Return sums + factor * part, the factors the outer loop; multiplied, rounded, then added."""
    products = [builder.fmul(factor, part) for factor in factors for part in parts]
    return [builder.fadd(sum_, product) for sum_, product in zip(sums, products, strict=True)]


def number_of(builder, address, query, length, place):
    """Return 16 times the number at `place` of a query's, of which each has `length`; both int64."""
    index = builder.add(builder.mul(I64(query), length), place)
    return everywhere(builder, builder.load(pointer(builder, address, FLOAT, builder.shl(index, I64(2)))))


def weights_of(builder, scores, distance, slope, largest, total):
    """Emit the softmax of a query's scores, as far as its keys are known: return the weights, and what all that was
    summed before is to be multiplied by. largest, total: pointers to the largest score and the sum of the weights."""
    distances, slopes = everywhere(builder, builder.trunc(distance, I32)), everywhere(builder, slope)
    seen, biased = [], []
    highest = before = everywhere(builder, builder.load(largest))
    for part, score in zip(PARTS, scores, strict=True):
        keys = WHOLE(list(range(part * LANES, (part + 1) * LANES)))
        away = builder.sitofp(builder.sub(distances, keys), FLOATS)
        seen.append(builder.icmp_signed("<=", keys, distances))
        biased.append(builder.select(seen[-1], builder.fsub(score, builder.fmul(slopes, away)), NEVER))
        highest = larger(builder, biased[-1], highest)
    for n in (8, 4, 2, 1):
        highest = larger(builder, highest, turned(builder, highest, n))
    kept = exponential(builder, builder.fsub(before, highest))
    weights = [exponential(builder, builder.fsub(score, highest)) for score in biased]
    weights = [builder.select(*pair, ZEROS) for pair in zip(seen, weights, strict=True)]
    added = builder.fadd(*weights)
    for n in (8, 4, 2, 1):  # the sum of the weights as a tree
        added = builder.fadd(added, turned(builder, added, n))
    totals = builder.fadd(builder.fmul(everywhere(builder, builder.load(total)), kept), added)
    for vector, target in ((highest, largest), (totals, total)):
        builder.store(builder.extract_element(vector, I32(0)), target)
    return weights, kept


def function_for(n_queries, bf16):
    """Return the function that follows for so many queries, whose sums stay in registers, and for keys and values in
    bf16 or in float32."""
    queries, read, size = range(n_queries), *((widened, 2) if bf16 else (loaded, 4))

    @intrinsic
    def attend(typing, query, width, block, sums):
        """Go on with the queries' sums by a block.

        block: keys [H, 32]; values, in chunks of 64 dimensions; the keys and values that are needed next; how many
        bytes two keys' values are apart, and two chunks; the number of chunks. sums: distance, int64, from the block's
        first key to each query, all of which see as many of the keys; ALiBi's slope; the largest score and the sum of
        the weights up to here; scratch for weights [4, 32]; output, [chunks, 64] of each query."""

        def generate(context, builder, signature, arguments):
            query, width, block, sums = arguments
            keys, values, next_keys, next_values, value_bytes, chunk_bytes, chunks = unpack_tuple(builder, block, 7)
            distance, slope, largest, total, weights, output = unpack_tuple(builder, sums, 6)
            all_chunks = builder.mul(chunks, I64(DIMENSIONS))

            def scored(d, sums):
                place = builder.mul(d, I64(size * BLOCK))
                parts = read(builder, builder.add(keys, place), len(PARTS))
                if bf16:
                    asked(builder, builder.add(next_keys, place), size * BLOCK)
                return plus_products(builder, sums, [number_of(builder, query, q, width, d) for q in queries], parts)

            scores = repeated(builder, width, [ZEROS] * (n_queries * len(PARTS)), scored)
            kept = []
            for q in queries:
                own = [pointer(builder, each, FLOAT, 4 * q) for each in (largest, total)]
                numbers = [
                    builder.load(pointer(builder, *each)) for each in ((distance, I64, 8 * q), (slope, FLOAT, 4 * q))
                ]
                of_query, factor = weights_of(builder, scores[len(PARTS) * q :][: len(PARTS)], *numbers, *own)
                stored(builder, of_query, builder.add(weights, I64(4 * BLOCK * q)))
                kept.append(factor)
            last = builder.load(pointer(builder, distance, I64))
            seen = builder.add(
                builder.select(builder.icmp_signed("<", last, I64(BLOCK - 1)), last, I64(BLOCK - 1)), I64(1)
            )

            def summed(chunk, _):
                begin, ahead = builder.add(values, builder.mul(chunk, chunk_bytes)), builder.sub(next_values, values)
                places = [
                    builder.add(builder.mul(all_chunks, I64(q)), builder.mul(chunk, I64(DIMENSIONS))) for q in queries
                ]
                targets = [builder.add(output, builder.shl(place, I64(2))) for place in places]
                n = DIMENSIONS // LANES

                def added(s, sums):
                    place = builder.add(begin, builder.mul(s, value_bytes))
                    if bf16:
                        asked(builder, builder.add(place, ahead), size * DIMENSIONS)
                    factors = [number_of(builder, weights, q, I64(BLOCK), s) for q in queries]
                    return plus_products(builder, sums, factors, read(builder, place, n))

                before = [builder.fmul(part, kept[q]) for q in queries for part in loaded(builder, targets[q], n)]
                sums = repeated(builder, seen, before, added)
                for q in queries:
                    stored(builder, sums[n * q :][:n], targets[q])
                return []

            repeated(builder, chunks, [], summed)
            return context.get_dummy_value()

        return types.void(query, width, block, sums), generate

    return attend


WIDE_1, WIDE_2, WIDE_3, WIDE_4 = (function_for(n, False) for n in range(1, QUERIES + 1))
BF16_1, BF16_2, BF16_3, BF16_4 = (function_for(n, True) for n in range(1, QUERIES + 1))


@jit
def attend_to_block(n, bf16, query, width, block, sums):
    """Do it for `n` queries, at most four."""
    if bf16 and n == 4:
        BF16_4(query, width, block, sums)
    elif bf16 and n == 3:
        BF16_3(query, width, block, sums)
    elif bf16 and n == 2:
        BF16_2(query, width, block, sums)
    elif bf16:
        BF16_1(query, width, block, sums)
    elif n == 4:
        WIDE_4(query, width, block, sums)
    elif n == 3:
        WIDE_3(query, width, block, sums)
    elif n == 2:
        WIDE_2(query, width, block, sums)
    else:
        WIDE_1(query, width, block, sums)
