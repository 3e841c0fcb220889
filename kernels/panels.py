"""Products of bf16 rows with a bf16 matrix by the processor's instruction for them (AVX512-BF16), with the bytes of
oneDNN's products, at the speed at which memory is read.

The matrix stands in oneDNN's own order (BA16a64b2a there): panels of 64 outputs, in each the inputs two by two, so that
a panel is read from its begin to its end. An instruction multiplies two inputs of 16 outputs and adds both to sums of
float32. oneDNN cuts long inputs in parts, whose sums start at zero and are then added; `cut` is a part's length.

Four rows share a panel's way from memory. Where there are more, each four ask ahead for a share of the next panel:
memory would else rest while numbers are multiplied.

Arrays are told by their addresses: handing over an array takes as long as a product of one row with a small matrix,
and compiling that ten times as long. Legend: M rows, N outputs, K inputs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from kernels.jit import jit
from kernels.vectors import FLOATS, I8, I32, I64, LANES, SHORT, WHOLE, asked, called, everywhere, pointer, repeated

PANEL, ROWS = 64, 4
PAIR_BYTES = 4 * PANEL  # of a panel, for two inputs
QUARTERS = range(PANEL // LANES)


class BFloat(ir.Type):
    """LLVM's bfloat, which llvmlite has no type for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat)

    def __hash__(self) -> int:
        return hash(BFloat)


BFLOATS, HALF = ir.VectorType(BFloat(), 2 * LANES), ir.VectorType(BFloat(), LANES)
BYTES = ir.VectorType(I8, 4 * LANES)


def has_instruction(name: str = "avx512bf16") -> bool:
    """Does numba compile for a processor with these instructions?"""
    *_, features = cpu_target.target_context.codegen().magic_tuple()
    return f"+{name}" in features.split(",")


@dataclass(frozen=True)
class Kind:
    """instruction: multiplies the inputs that 32 bits hold, of 16 outputs, and adds them to sums. inputs: a vector of
    them. sums: a vector of sums. add: how the builder adds two of these. zero: a sum of nothing."""

    instruction: str
    inputs: ir.Type
    sums: ir.Type
    add: str
    zero: float


OF_BF16 = Kind("llvm.x86.avx512bf16.dpbf16ps.512", BFLOATS, FLOATS, "fadd", 0.0)
OF_INT8 = Kind("llvm.x86.avx512.vpdpbusd.512", BYTES, WHOLE, "add", 0)


def adder_of_products(n_rows, numbers):
    """Return the function that follows for so many rows of a Kind: their sums stay in registers."""

    @intrinsic
    def add_products(typing, x, row_bytes, weight, n_pairs, sums, adds, ahead, ahead_step):
        """Write the products of pairs of inputs with a panel to the sums, [rows, 64], or add them if `adds`. Of int8 a
        pair is four inputs: those of x from 0 to 255, the panel's from -128 on.

        x, weight, sums: addresses; of x and the panel from the first pair on. ahead: what address to ask memory for,
        `ahead_step` bytes further with each pair."""

        def generate(context, builder, signature, arguments):
            x, row_bytes, weight, n_pairs, sums, adds, ahead, ahead_step = arguments
            rows = [builder.add(x, builder.mul(row_bytes, I64(row))) for row in range(n_rows)]
            rows = [builder.inttoptr(row, I32.as_pointer()) for row in rows]
            weight, sums = pointer(builder, weight, numbers.inputs), pointer(builder, sums, numbers.sums)

            def multiplied(pair, old):
                line = builder.add(ahead, builder.mul(pair, ahead_step))
                for address in (line, builder.add(line, builder.ashr(ahead_step, I64(1)))):
                    asked(builder, address, 1)
                places = [builder.add(builder.mul(pair, I64(len(QUARTERS))), I64(at)) for at in QUARTERS]
                factors = [builder.load(builder.gep(weight, [place]), align=64) for place in places]
                inputs = [everywhere(builder, builder.load(builder.gep(row, [pair]))) for row in rows]
                pairs = [(builder.bitcast(each, numbers.inputs), factor) for each in inputs for factor in factors]
                return [
                    called(builder, numbers.instruction, numbers.sums, sum_, *factors_of)
                    for sum_, factors_of in zip(old, pairs, strict=True)
                ]

            nothing = numbers.sums([numbers.zero] * LANES)
            new = repeated(builder, n_pairs, [nothing] * (n_rows * len(QUARTERS)), multiplied)
            for place, sum_ in enumerate(new):
                target = builder.gep(sums, [I64(place)])
                with builder.if_else(adds) as (further, first):
                    with further:
                        total = getattr(builder, numbers.add)(builder.load(target, align=4), sum_)
                        builder.store(total, target, align=4)
                    with first:
                        builder.store(sum_, target, align=4)
            return context.get_dummy_value()

        return types.void(x, row_bytes, weight, n_pairs, sums, adds, ahead, ahead_step), generate

    return add_products


def rounder(typing, sums, bias, out, n_outputs):
    """Write the first of a panel's sums as bf16, by the instruction that oneDNN takes, after adding the bias to them,
    unless its address is 0."""

    def generate(context, builder, signature, arguments):
        sums, bias, out, n_outputs = arguments
        has_bias = builder.icmp_unsigned("!=", bias, I64(0))
        bias, out = (pointer(builder, each, SHORT) for each in (bias, out))
        sums, n_outputs = pointer(builder, sums, FLOATS), everywhere(builder, builder.trunc(n_outputs, I32))
        for at in QUARTERS:
            numbers = WHOLE(list(range(at * LANES, (at + 1) * LANES)))
            chosen = builder.icmp_signed("<", numbers, n_outputs)
            source = builder.gep(sums, [I64(at)])
            with builder.if_then(has_bias):
                place, name = builder.gep(bias, [I64(at)]), "llvm.masked.load.v16i16.p0"
                short = called(builder, name, SHORT, place, I32(2), chosen, SHORT([0] * LANES))
                wide = builder.shl(builder.zext(short, WHOLE), WHOLE([16] * LANES))
                total = builder.fadd(builder.load(source, align=4), builder.bitcast(wide, FLOATS))
                builder.store(total, source, align=4)
            name = "llvm.x86.avx512bf16.cvtneps2bf16.512"
            found = builder.bitcast(called(builder, name, HALF, builder.load(source, align=4)), SHORT)
            place, name = builder.gep(out, [I64(at)]), "llvm.masked.store.v16i16.p0"
            called(builder, name, ir.VoidType(), found, place, I32(2), chosen)
        return context.get_dummy_value()

    return types.void(sums, bias, out, n_outputs), generate


ADD_1, ADD_2, ADD_3, ADD_4 = (adder_of_products(n_rows, OF_BF16) for n_rows in range(1, ROWS + 1))
round_sums: Any = intrinsic(rounder)  # mypy takes `typing` for the caller's


@jit
def multiply(x, n_rows, n_in, weight, panel_bytes, n_out, cut, bias, bias_bytes, first_panel, end_panel, out):
    """Write x W^T + b of some panels, bf16; x, weight, bias and out are addresses, a bias of 0 is none.

    weight: a multiple of 64; its panels are `panel_bytes` apart. bias_bytes: from one row's bias to the next one's, 0
    where all have the same. n_in: even. Rows are contiguous, [M, K] and [M, N]."""
    scratch = np.empty(ROWS * PANEL, np.float32)
    sums, row_bytes = scratch.ctypes.data, 2 * n_in
    groups = (n_rows + ROWS - 1) // ROWS
    step = PAIR_BYTES // groups if groups > 1 else 0
    for panel in range(first_panel, end_panel):
        first, begin_of_panel = panel * PANEL, weight + panel * panel_bytes
        for group in range(groups):
            row, rows = group * ROWS, min(ROWS, n_rows - group * ROWS)
            for begin in range(0, n_in, cut):
                own, pairs, adds = x + row * row_bytes + 2 * begin, min(cut, n_in - begin) // 2, begin > 0
                part = begin_of_panel + begin // 2 * PAIR_BYTES
                ahead = begin_of_panel
                if groups > 1:
                    ahead += panel_bytes + (group * n_in + begin) // 2 * step
                if rows == 4:
                    ADD_4(own, row_bytes, part, pairs, sums, adds, ahead, step)
                elif rows == 3:
                    ADD_3(own, row_bytes, part, pairs, sums, adds, ahead, step)
                elif rows == 2:
                    ADD_2(own, row_bytes, part, pairs, sums, adds, ahead, step)
                else:
                    ADD_1(own, row_bytes, part, pairs, sums, adds, ahead, step)
            for r in range(rows):
                target = out + 2 * ((row + r) * n_out + first)
                own_bias = bias + bias_bytes * (row + r) + 2 * first if bias else 0
                round_sums(sums + 4 * PANEL * r, own_bias, target, min(PANEL, n_out - first))
    scratch[0] = 0  # or else numba frees it at the top, after its last use


@jit
def rows_of_panels(words_TKN, rows_R, out_RK):
    """Copy rows of the matrix, a row for each output, out of its panels. A word is two inputs of an output, as int32;
    words_TKN: panels, pairs of inputs, outputs. out_RK: words, too."""
    for row in range(len(rows_R)):
        panel, place = rows_R[row] // words_TKN.shape[2], rows_R[row] % words_TKN.shape[2]
        for k in range(out_RK.shape[1]):
            out_RK[row, k] = words_TKN[panel, k, place]
