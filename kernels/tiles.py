"""Products of rows with a matrix by the processor's unit for products of tiles (AMX), of bf16 or of bytes.

The matrix stands in the panels of kernels/panels.py: 16 pairs of inputs of 16 outputs are a tile there, since a tile is
16 rows of 64 bytes in whatever distance. Up to 32 rows share a panel's way from memory.

The order of the sums of bf16 is the instruction's (Intel's Software Developer's Manual, TDPBF16PS), and a row's own,
whatever rows are beside it: of 32 inputs those in even places are added from the first to the last, fused with their
products, those in odd places likewise, then the two sums to one another, and the result to that of the inputs before.
Numbers too small to be normal count as zero. Whole numbers have no order.

Arrays are told by their addresses, as there. Legend: M rows, N outputs, K inputs.
"""

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import raw_memcpy
from numba.extending import intrinsic

from kernels.jit import jit
from kernels.panels import PAIR_BYTES, PANEL, has_instruction, round_sums
from kernels.vectors import I8, I64, asked, called, pointer, repeated

HEIGHT, WIDTH, TOGETHER = 16, 64, 32  # of a tile: rows, bytes; rows that are multiplied together
INPUTS = 32  # of bf16 in a tile's row
STEP = HEIGHT * PAIR_BYTES  # bytes of a panel for a row of a tile
HALF = PAIR_BYTES // 2  # from a panel's first 32 outputs to the others, in bytes
CONFIG, PALETTE, COLUMNS, ROWS_AT = 64, 1, 16, 48  # the layout of what says how large tiles are
SYSTEM_CALL, ASK, TILE_DATA = 158, 0x1023, 18  # arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA


@cache
def has_tiles(kind: str = "amx-bf16") -> bool:
    """Does the processor multiply tiles, and does the system let this process?"""
    if sys.platform != "linux" or not has_instruction() or not has_instruction(kind):
        return False
    return ctypes.CDLL(None).syscall(SYSTEM_CALL, ASK, TILE_DATA) == 0


KNOWN = has_instruction("amx-tile")  # else LLVM would find no such instruction


def emitted(builder, name, *arguments):
    """Emit an instruction on tiles, where the processor has them."""
    if KNOWN:
        called(builder, f"llvm.x86.{name}", ir.VoidType(), *arguments)


def read(builder, tile, address, distance):
    """Fill a tile from rows that are `distance` bytes apart."""
    emitted(builder, "tileloadd64", I8(tile), pointer(builder, address, I8), distance)


def configurer(typing, config, before):
    """Set the sizes of tiles, and write those that were to `before`, unless its address is 0."""

    def generate(context, builder, signature, arguments):
        config, before = arguments
        with builder.if_then(builder.icmp_unsigned("!=", before, I64(0))):
            emitted(builder, "sttilecfg", pointer(builder, before, I8))
        emitted(builder, "ldtilecfg", pointer(builder, config, I8))
        return context.get_dummy_value()

    return types.void(config, before), generate


def copier(typing, source, target, n_bytes):
    """Copy so many bytes from one address to another."""

    def generate(context, builder, signature, arguments):
        source, target, n_bytes = arguments
        raw_memcpy(builder, pointer(builder, target, I8), pointer(builder, source, I8), n_bytes, 1)
        return context.get_dummy_value()

    return types.void(source, target, n_bytes), generate


configured: Any = intrinsic(configurer)  # mypy takes `typing` for the caller's
copied: Any = intrinsic(copier)


def multiplier(instruction: str, pairs: bool):
    """Return the function that follows, for 17 to 32 rows if `pairs`, else for up to 16."""
    x_tiles = (4, 5) if pairs else (4,)
    width = 2 if pairs else 4  # tiles of outputs
    weight_tiles = (6, 7) if pairs else (5, 6, 7, 5)

    @intrinsic
    def multiply_tiles(typing, x, row_bytes, weight, steps, sums, ahead):
        """Write the products of rows with the first 32 (`pairs`) or 64 outputs of a panel to the sums, [rows, 64].

        x, weight, sums: addresses. steps: of 64 bytes of a row. ahead: what memory is asked for, or 0."""

        def generate(context, builder, signature, arguments):
            x, row_bytes, weight, steps, sums, ahead = arguments
            n_sums = len(x_tiles) * width
            for tile in range(n_sums):
                emitted(builder, "tilezero", I8(tile))

            def multiplied(step, _):
                for place, tile in enumerate(x_tiles):
                    first = builder.add(x, builder.mul(row_bytes, I64(HEIGHT * place)))
                    read(builder, tile, builder.add(first, builder.mul(step, I64(WIDTH))), row_bytes)
                begin = builder.mul(step, I64(STEP))
                for at, factor in enumerate(weight_tiles):
                    read(builder, factor, builder.add(builder.add(weight, begin), I64(WIDTH * at)), I64(PAIR_BYTES))
                    for place, tile in enumerate(x_tiles):
                        emitted(builder, instruction, I8(place * width + at), I8(tile), I8(factor))
                with builder.if_then(builder.icmp_unsigned("!=", ahead, I64(0))):
                    asked(builder, builder.add(ahead, begin), STEP)
                return []

            repeated(builder, steps, [], multiplied)
            for tile in range(n_sums):
                offset = tile // width * HEIGHT * PAIR_BYTES + tile % width * WIDTH
                emitted(builder, "tilestored64", I8(tile), pointer(builder, sums, I8, offset), I64(PAIR_BYTES))
            return context.get_dummy_value()

        return types.void(x, row_bytes, weight, steps, sums, ahead), generate

    return multiply_tiles


FEW, MANY = (multiplier("tdpbf16ps", pairs) for pairs in (False, True))
FEW_BYTES, MANY_BYTES = (multiplier("tdpbusd", pairs) for pairs in (False, True))


@jit
def sizes(config, rows):
    """Write the sizes of tiles for so many rows, at most 32, as the two functions above use them."""
    upper, lower = min(rows, HEIGHT), rows - HEIGHT
    config[0] = PALETTE
    for tile in range(8):
        config[COLUMNS + 2 * tile], height = WIDTH, HEIGHT
        if lower > 0 and (tile == 2 or tile == 3 or tile == 5):
            height = lower
        elif lower <= 0 and tile < 5:
            height = upper
        config[ROWS_AT + tile] = height


@jit
def multiply(x, n_rows, n_in, weight, panel_bytes, n_out, bias, bias_bytes, first_panel, end_panel, out):
    """Write x W^T + b of some panels, bf16; x, weight, bias and out are addresses, a bias of 0 is none.

    weight: its panels are `panel_bytes` apart, and filled up with zeros to a multiple of 32 inputs. bias_bytes: from
    one row's bias to the next one's, 0 where all have the same. Rows are contiguous, [M, K] and [M, N]."""
    scratch, config = np.empty(TOGETHER * PANEL, np.float32), np.zeros(2 * CONFIG, np.uint8)
    sums, steps, told = scratch.ctypes.data, (n_in + INPUTS - 1) // INPUTS, config.ctypes.data
    before, size, row_bytes, fits = told + CONFIG, 0, steps * WIDTH, n_in % INPUTS == 0
    filled = np.zeros(0 if fits else TOGETHER * row_bytes, np.uint8)
    own_rows = np.int64(filled.ctypes.data)
    for panel in range(first_panel, end_panel):
        own, first = weight + panel * panel_bytes, panel * PANEL
        for row in range(0, n_rows, TOGETHER):
            rows, source = min(TOGETHER, n_rows - row), x + row * 2 * n_in
            if rows != size:
                sizes(config, rows)
                configured(told, before if size == 0 else 0)
                size = rows
            if not fits:
                for r in range(rows):
                    copied(source + r * 2 * n_in, own_rows + r * row_bytes, 2 * n_in)
                source = own_rows
            ahead = own + panel_bytes if row == 0 else 0
            if rows <= HEIGHT:
                FEW(source, row_bytes, own, steps, sums, ahead)
            else:
                MANY(source, row_bytes, own, steps, sums, ahead)
                MANY(source, row_bytes, own + HALF, steps, sums + HALF, 0)
            for r in range(rows):
                target = out + 2 * ((row + r) * n_out + first)
                own_bias = bias + bias_bytes * (row + r) + 2 * first if bias else 0
                round_sums(sums + PAIR_BYTES * r, own_bias, target, min(PANEL, n_out - first))
    if size:
        configured(before, 0)
    return scratch[0], config[0], len(filled)  # numba frees an array after its last use
