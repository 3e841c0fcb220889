"""Products of bf16 rows, rounded to int8, with an int8 matrix by the processor's instruction for them (AVX512-VNNI),
summed without error; the bytes are those of torch's operators in llm/deploy/quantize/operators.py.

The matrix stands in panels as that of kernels/panels.py does: of 64 outputs, in each the inputs four by four. The
instruction takes one factor from 0 to 255: 128 is added to the inputs, and taken away from the sums as 128 times the
sum of an output's weights.

bf16 numbers are int16 here, the same bits. Legend: M rows, N outputs, K inputs, Q inputs and what fills them up to a
multiple of four.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels import panels
from kernels.decoder import widened
from kernels.jit import jit
from kernels.panels import OF_INT8, PAIR_BYTES, PANEL, ROWS, adder_of_products
from kernels.vectors import FLOATS, I32, LANES, ROUND, SHORT, WHOLE, called, everywhere, pointer

TOGETHER, OFFSET = 4, 128  # inputs of an instruction; what is added to an input
ZERO = np.float32(0.0)
LOWEST, HIGHEST = np.float32(-128.0), np.float32(127.0)
ADD_1, ADD_2, ADD_3, ADD_4 = (adder_of_products(n_rows, OF_INT8) for n_rows in range(1, ROWS + 1))


def has_instruction() -> bool:
    return panels.has_instruction("avx512vnni")


def in_panels(q_NK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an int8 matrix as panels, int8 [panels, Q / 4, 64, 4] at an address that is a multiple of 64, and what is
    to be taken away from the sums, int32 [panels * 64]."""
    n_out, n_in = q_NK.shape
    n_panels, n_groups = -(-n_out // PANEL), -(-n_in // TOGETHER)
    memory = np.empty(n_panels * n_groups * PAIR_BYTES + 64, np.int8)
    begin = -memory.ctypes.data % 64
    found = memory[begin : begin + n_panels * n_groups * PAIR_BYTES].reshape(n_panels, n_groups, PANEL, TOGETHER)
    padded = np.zeros((n_panels * PANEL, n_groups * TOGETHER), np.int8)
    padded[:n_out, :n_in] = q_NK
    found[:] = padded.reshape(n_panels, PANEL, n_groups, TOGETHER).transpose(0, 2, 1, 3)
    return found, OFFSET * padded.sum(1, dtype=np.int32)


def out_of_panels(panels: np.ndarray, n_out: int) -> np.ndarray:
    """Return the matrix that panels were made of, with zeros for more inputs: int8 [N, Q]."""
    return panels.transpose(0, 2, 1, 3).reshape(len(panels) * PANEL, -1)[:n_out]


def scaler(typing, sums, away, scale, scales, out, n_outputs):
    """Write the first `n_outputs` of a row's 64 sums, less `away`, times the row's scale and the outputs', as bf16."""

    def generate(context, builder, signature, arguments):
        sums, away, scale, scales, out, n_outputs = arguments
        scale, last = everywhere(builder, scale), everywhere(builder, builder.trunc(n_outputs, I32))
        for at in range(PANEL // LANES):
            sum_, off = (builder.load(pointer(builder, each, WHOLE, 64 * at), align=4) for each in (sums, away))
            own = builder.load(pointer(builder, scales, FLOATS, 64 * at), align=4)
            y = builder.fmul(builder.fmul(builder.sitofp(builder.sub(sum_, off), FLOATS), scale), own)
            bits = builder.bitcast(y, WHOLE)
            odd = builder.and_(builder.lshr(bits, WHOLE([16] * LANES)), WHOLE([1] * LANES))
            nearest = builder.lshr(builder.add(builder.add(bits, WHOLE([0x7FFF] * LANES)), odd), WHOLE([16] * LANES))
            found = builder.select(builder.fcmp_unordered("uno", y, y), WHOLE([0x7FC0] * LANES), nearest)
            numbers = WHOLE(list(range(at * LANES, (at + 1) * LANES)))
            arguments = pointer(builder, out, SHORT, 32 * at), I32(2), builder.icmp_signed("<", numbers, last)
            short = builder.trunc(found, SHORT)
            called(builder, "llvm.masked.store.v16i16.p0", ir.VoidType(), short, *arguments)
        return context.get_dummy_value()

    return types.void(sums, away, scale, scales, out, n_outputs), generate


scale_sums: Any = intrinsic(scaler)  # mypy takes `typing` for the caller's


@jit
def round_to_bytes(x_MK, half, smallest, fixed, scale_M, byte_MQ):
    """Write each row as whole numbers times its scale, with 128 added: the scale by which its largest input is `half`,
    or `smallest` where all are zero; `fixed`: the scales are given. half, smallest: float32."""
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
            x[k] = min(max(x[k] / scale, LOWEST), HIGHEST) + ROUND
        for k in range(width):
            byte_MQ[row, k] = np.uint8(bits[k] + OFFSET)
        for k in range(width, byte_MQ.shape[1]):
            byte_MQ[row, k] = 0  # as the weights are there


@jit
def multiply_bytes(byte_MQ, scale_M, weight, away_P, scale_P, n_out, first_panel, end_panel, out_MN):
    """Write the products of some panels, times both scales, as bf16. weight: the panels' address. away_P, scale_P: of
    as many outputs as the panels have."""
    rows_in_all, row_bytes = byte_MQ.shape
    n_groups = row_bytes // TOGETHER
    panel_bytes = n_groups * PAIR_BYTES
    sum_RN = np.empty((ROWS, PANEL), np.int32)
    sums, x = sum_RN.ctypes.data, byte_MQ.ctypes.data
    groups = (rows_in_all + ROWS - 1) // ROWS
    step = PAIR_BYTES // groups if groups > 1 else 0
    for panel in range(first_panel, end_panel):
        own, first = weight + panel * panel_bytes, panel * PANEL
        away, scales = away_P.ctypes.data + 4 * first, scale_P.ctypes.data + 4 * first
        for group in range(groups):
            row = group * ROWS
            rows = min(ROWS, rows_in_all - row)
            ahead = own + panel_bytes + group * n_groups * step if groups > 1 else own
            if rows == 4:
                ADD_4(x + row * row_bytes, row_bytes, own, n_groups, sums, False, ahead, step)
            elif rows == 3:
                ADD_3(x + row * row_bytes, row_bytes, own, n_groups, sums, False, ahead, step)
            elif rows == 2:
                ADD_2(x + row * row_bytes, row_bytes, own, n_groups, sums, False, ahead, step)
            else:
                ADD_1(x + row * row_bytes, row_bytes, own, n_groups, sums, False, ahead, step)
            for r in range(rows):
                out = out_MN.ctypes.data + 2 * ((row + r) * n_out + first)
                scale_sums(sums + 4 * PANEL * r, away, scale_M[row + r], scales, out, n_out - first)
    return byte_MQ[0, 0], away_P[0], scale_P[0], sum_RN[0, 0], out_MN[0, 0]  # numba frees an array after its last use
