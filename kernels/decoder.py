"""The work of a Llama-like decoder between its matrix products, on bf16 rows: the bytes are those of torch's operators.

In torch each of these is five to ten operators, which for a few rows cost more than the numbers do. What a number is
rounded to, and when, is as there: sums of squares add `lanes` numbers side by side in four groups (torch's SumKernel,
whose lanes are those of the processor's vectors), and silu is looked up, since bf16 has 65,536 values.

bf16 numbers are int16 here, the same bits. Legend: R rows, D d_model, F d_ff, E heads times d_head, N query heads, K
key-value heads, H d_head, P blocks of the pool, B keys of a block.
"""

import numpy as np

from kernels.jit import jit

ONE, ZERO = np.float32(1.0), np.float32(0.0)
NAN = np.int16(0x7FC0)
GROUPS, LEVELS, STEP = 4, 4, 16  # of torch's sums: rows side by side, levels of partial sums, rows of each level


@jit
def widened(source, bits):
    """Copy bf16 into float32 memory; bits: that memory as int32."""
    for i in range(len(source)):
        bits[i] = np.int32(source[i]) << np.int32(16)


@jit
def rounded(values, bits):
    """Round float32 to the nearest bf16, in place, ties to even."""
    for i in range(len(values)):
        shortened = ((bits[i] + 0x7FFF + ((bits[i] >> 16) & 1)) >> 16) << 16
        bits[i] = np.int32(shortened) if values[i] == values[i] else np.int32(NAN) << np.int32(16)


@jit
def narrowed(values, bits, target):
    """Round float32 to bf16 as `rounded` does, into `target`."""
    for i in range(len(target)):
        shortened = np.int16((bits[i] + 0x7FFF + ((bits[i] >> 16) & 1)) >> 16)
        target[i] = shortened if values[i] == values[i] else NAN


@jit
def square_sum(x, lanes, partial):
    """Return the sum of squares in the order of torch's sum over the last dimension. partial: [LEVELS, 4 lanes]."""
    width = GROUPS * lanes
    partial[:] = ZERO
    n_rows = len(x) // lanes // GROUPS
    row = 0
    while row + STEP <= n_rows:
        for _ in range(STEP):
            for i in range(width):
                partial[0, i] += x[row * width + i] * x[row * width + i]
            row += 1
        for level in range(1, LEVELS):
            for i in range(width):
                partial[level, i] += partial[level - 1, i]
                partial[level - 1, i] = ZERO
            if row & ((STEP - 1) << (4 * level)):
                break
    while row < n_rows:
        for i in range(width):
            partial[0, i] += x[row * width + i] * x[row * width + i]
        row += 1
    for level in range(1, LEVELS):
        for i in range(width):
            partial[0, i] += partial[level, i]
    vectors = len(x) // lanes
    for vector in range(n_rows * GROUPS, vectors):
        for i in range(lanes):
            partial[0, i] += x[vector * lanes + i] * x[vector * lanes + i]
    for group in range(1, GROUPS):
        for i in range(lanes):
            partial[0, i] += partial[0, group * lanes + i]
    total = ZERO
    for i in range(vectors * lanes, len(x)):
        total += x[i] * x[i]
    for i in range(lanes):
        total += partial[0, i]
    return total


@jit
def square_sums(x_RD, lanes, out_R):
    """Write each row's sum of squares, float32."""
    partial = np.empty((LEVELS, GROUPS * lanes), np.float32)
    for row in range(x_RD.shape[0]):
        out_R[row] = square_sum(x_RD[row], lanes, partial)


@jit
def add_and_normalise(x_RD, added_RD, adds, weight_D, eps, lanes, out_RD):
    """Write RMSNorm(x + added) into `out_RD` and, where `adds`, the sum into `x_RD`. eps: float32."""
    width = x_RD.shape[1]
    x, other, weight = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    x_bits, other_bits = x.view(np.int32), other.view(np.int32)
    widened(weight_D, weight.view(np.int32))
    partial = np.empty((LEVELS, GROUPS * lanes), np.float32)
    for row in range(x_RD.shape[0]):
        widened(x_RD[row], x_bits)
        if adds:
            widened(added_RD[row], other_bits)
            for d in range(width):
                x[d] = x[d] + other[d]
            rounded(x, x_bits)
            narrowed(x, x_bits, x_RD[row])
        scale = ONE / np.sqrt(square_sum(x, lanes, partial) / np.float32(width) + eps)
        for d in range(width):
            x[d] = x[d] * scale
        rounded(x, x_bits)
        for d in range(width):
            x[d] = x[d] * weight[d]
        narrowed(x, x_bits, out_RD[row])


@jit
def turned(x, cos, sin, low, low_bits, high, high_bits, out):
    """Rotate one head's pairs (i, i + H/2): bf16 `x` into float32 `out`. low .. high_bits: scratch of half a head."""
    half = len(out) // 2
    widened(x[:half], low_bits)
    widened(x[half:], high_bits)
    for i in range(half):
        out[i] = low[i] * cos[i]
        out[half + i] = high[i] * cos[half + i]
    for i in range(half):
        a, b = -high[i] * sin[i], low[i] * sin[half + i]
        low[i], high[i] = a, b
    bits = out.view(np.int32)
    rounded(out, bits)
    rounded(low, low_bits)
    rounded(high, high_bits)
    for i in range(half):
        out[i] = out[i] + low[i]
        out[half + i] = out[half + i] + high[i]
    rounded(out, bits)


@jit
def rotate_and_store(q_RE, k_RE, v_RE, cos_RH, sin_RH, block_R, slot_R, keys_PKHB, values_PKBH, query_RNH):
    """Rotate the rows' queries into `query_RNH` (float32) and their keys into the pool; store their values there. cos,
    sin: float32 that bf16 holds. Rows beyond those of `block_R` are padding."""
    width = query_RNH.shape[2]
    half = width // 2
    low, high, key = np.empty(half, np.float32), np.empty(half, np.float32), np.empty(width, np.float32)
    low_bits, high_bits, key_bits = low.view(np.int32), high.view(np.int32), key.view(np.int32)
    for row in range(len(block_R)):
        cos, sin, block, slot = cos_RH[row], sin_RH[row], block_R[row], slot_R[row]
        for n in range(query_RNH.shape[1]):
            head = q_RE[row, n * width : (n + 1) * width]
            turned(head, cos, sin, low, low_bits, high, high_bits, query_RNH[row, n])
        for k in range(keys_PKHB.shape[1]):
            turned(k_RE[row, k * width : (k + 1) * width], cos, sin, low, low_bits, high, high_bits, key)
            for d in range(width):
                keys_PKHB[block, k, d, slot] = np.int16(key_bits[d] >> 16)
                values_PKBH[block, k, slot, d] = v_RE[row, k * width + d]


@jit
def gate(gate_RF, up_RF, silu, out_RF):
    """Write silu(gate) * up. silu: float32 of each of the 65,536 bf16 numbers, by their bits."""
    width = gate_RF.shape[1]
    x = np.empty(width, np.float32)
    bits = x.view(np.int32)
    for row in range(gate_RF.shape[0]):
        widened(up_RF[row], bits)
        for f in range(width):
            x[f] = silu[np.uint16(gate_RF[row, f])] * x[f]
        narrowed(x, bits, out_RF[row])


@jit
def sortable(bits):
    """Return bf16 bits as int16 that sort as the numbers do."""
    turned_round = bits ^ ((bits >> 15) & 0x7FFF)
    return np.int16(0 if turned_round == -1 else turned_round)


@jit
def likeliest(logits_RV, out_R):
    """Write the place of each row's largest logit, the first of equal ones. Bits of bf16 sort like whole numbers once
    those below zero are turned round; -0 counts as 0."""
    for row in range(logits_RV.shape[0]):
        largest = np.int16(-32768)
        for v in range(logits_RV.shape[1]):
            largest = max(largest, sortable(logits_RV[row, v]))
        for v in range(logits_RV.shape[1]):
            if sortable(logits_RV[row, v]) == largest:
                out_R[row] = v
                break
