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
NAN, UPPER = np.uint32(0x7FC00000), np.uint32(0xFFFF0000)
GROUPS, LEVELS, STEP = 4, 4, 16  # of torch's sums: rows side by side, levels of partial sums, rows of each level


@jit
def widened(source, bits):
    """Copy bf16 into float32 memory; bits: that memory as int32."""
    for i in range(len(source)):
        bits[i] = np.int32(source[i]) << np.int32(16)


@jit
def nearest(bits):
    """Return the bits of a float32 with those of the nearest bf16 in their upper half, ties to even."""
    number = np.uint32(bits)
    if (number & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000):
        return NAN
    return number + np.uint32(0x7FFF) + ((number >> np.uint32(16)) & np.uint32(1))


@jit
def rounded(bits):
    """Round float32 to the nearest bf16, in place. bits: as int32; it alone, so that the loop vectorises."""
    for i in range(len(bits)):
        bits[i] = np.int32(nearest(bits[i]) & UPPER)


@jit
def narrowed(bits, target):
    """Round float32 to bf16 as `rounded` does, into `target`."""
    for i in range(len(target)):
        target[i] = np.int16(nearest(bits[i]) >> np.uint32(16))


@jit
def add_squares(x, sums):
    for i in range(len(sums)):
        sums[i] = sums[i] + x[i] * x[i]


@jit
def square_sum(x, lanes, partial):
    """Return the sum of squares in the order of torch's sum over the last dimension. partial: [LEVELS, 4 lanes]."""
    width = GROUPS * lanes
    n_rows = len(x) // width
    rows, rest = x[: n_rows * width].reshape(n_rows, width), x[n_rows * width :]
    sums = partial[0]
    partial[:] = ZERO
    row = 0
    while row + STEP <= n_rows:
        for _ in range(STEP):
            add_squares(rows[row], sums)
            row += 1
        for level in range(1, LEVELS):
            below, above = partial[level - 1], partial[level]
            for i in range(width):
                above[i] = above[i] + below[i]
            below[:] = ZERO
            if row & ((STEP - 1) << (4 * level)):
                break
    while row < n_rows:
        add_squares(rows[row], sums)
        row += 1
    for level in range(1, LEVELS):
        above = partial[level]
        for i in range(width):
            sums[i] = sums[i] + above[i]
    whole = len(rest) // lanes * lanes
    for begin in range(0, whole, lanes):
        add_squares(rest[begin : begin + lanes], sums[:lanes])
    for group in range(1, GROUPS):
        other = sums[group * lanes : (group + 1) * lanes]
        for i in range(lanes):
            sums[i] = sums[i] + other[i]
    total = ZERO
    for value in rest[whole:]:
        total += value * value
    for i in range(lanes):
        total += sums[i]
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
            rounded(x_bits)
            narrowed(x_bits, x_RD[row])
        scale = ONE / np.sqrt(square_sum(x, lanes, partial) / np.float32(width) + eps)
        for d in range(width):
            x[d] = x[d] * scale
        rounded(x_bits)
        for d in range(width):
            x[d] = x[d] * weight[d]
        narrowed(x_bits, out_RD[row])


@jit
def turned(x_N2P, cos_2P, sin_2P, x_bits, other_N2P, other_bits):
    """Rotate the heads' pairs (i, i + H/2), float32 that bf16 holds, in place. x_bits, other_bits: the memory of x and
    of the scratch `other` as int32, [E]."""
    for n in range(x_N2P.shape[0]):
        for i in range(x_N2P.shape[2]):
            low, high = x_N2P[n, 0, i], x_N2P[n, 1, i]
            other_N2P[n, 0, i], other_N2P[n, 1, i] = -high * sin_2P[0, i], low * sin_2P[1, i]
            x_N2P[n, 0, i], x_N2P[n, 1, i] = low * cos_2P[0, i], high * cos_2P[1, i]
    rounded(x_bits)
    rounded(other_bits)
    for n in range(x_N2P.shape[0]):
        for half in range(2):
            for i in range(x_N2P.shape[2]):
                x_N2P[n, half, i] = x_N2P[n, half, i] + other_N2P[n, half, i]
    rounded(x_bits)


@jit
def rotate_and_store(qkv_RE, cos_RH, sin_RH, block_R, slot_R, keys_PKHB, values_PKBH, query_RNH):
    """Rotate the rows' queries into `query_RNH` (float32) and their keys into the pool; store their values there. A row
    of qkv has all three side by side. cos, sin: float32 that bf16 holds. Rows beyond those of `block_R` are padding."""
    _, heads, width = query_RNH.shape
    kv_heads = keys_PKHB.shape[1]
    half, n_turned = width // 2, (heads + kv_heads) * width
    x, other = np.empty(n_turned, np.float32), np.empty(n_turned, np.float32)
    x_bits, other_bits = x.view(np.int32), other.view(np.int32)
    x_N2P, other_N2P = x.reshape(heads + kv_heads, 2, half), other.reshape(heads + kv_heads, 2, half)
    x_NH, bits_NH = x.reshape(heads + kv_heads, width), x_bits.reshape(heads + kv_heads, width)
    for row in range(len(block_R)):
        block, slot = block_R[row], slot_R[row]
        widened(qkv_RE[row, :n_turned], x_bits)
        turned(x_N2P, cos_RH[row].reshape(2, half), sin_RH[row].reshape(2, half), x_bits, other_N2P, other_bits)
        for n in range(heads):
            for d in range(width):
                query_RNH[row, n, d] = x_NH[n, d]
        for k in range(kv_heads):
            value = qkv_RE[row, n_turned + k * width : n_turned + (k + 1) * width]
            for d in range(width):
                keys_PKHB[block, k, d, slot] = np.int16(bits_NH[heads + k, d] >> 16)
                values_PKBH[block, k, slot, d] = value[d]


@jit
def gate(gate_up_RF, silu, out_RF):
    """Write silu(gate) * up, which stand side by side in a row. silu: float32 of each of the 65,536 bf16 numbers, by
    their bits."""
    width = out_RF.shape[1]
    x = np.empty(width, np.float32)
    bits = x.view(np.int32)
    for row in range(out_RF.shape[0]):
        gates = gate_up_RF[row, :width]
        widened(gate_up_RF[row, width:], bits)
        for f in range(width):
            x[f] = silu[np.uint16(gates[f])] * x[f]
        narrowed(bits, out_RF[row])


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
