"""Products of rows of bytes with an int8 matrix by the processor's unit for products of tiles (AMX-INT8): what
kernels/int8_panels.py computes, from the same rows and panels, to the same bytes, since whole numbers have no order.

Legend: M rows, N outputs, Q bytes of a row, P outputs of all panels.
"""

import numpy as np

from kernels.int8_panels import scale_sums
from kernels.jit import jit
from kernels.panels import PAIR_BYTES, PANEL
from kernels.tiles import CONFIG, FEW_BYTES, HALF, HEIGHT, MANY_BYTES, TOGETHER, WIDTH, configured, sizes


@jit
def multiply_bytes(byte_MQ, scale_M, weight, away_P, scale_P, n_out, first_panel, end_panel, out_MN):
    """Do what the function of this name there does, for Q that is a multiple of 64."""
    n_rows, row_bytes = byte_MQ.shape
    steps, panel_bytes = row_bytes // WIDTH, row_bytes * PANEL
    sum_RN, config = np.empty((TOGETHER, PANEL), np.int32), np.zeros(2 * CONFIG, np.uint8)
    sums, x, told = sum_RN.ctypes.data, byte_MQ.ctypes.data, config.ctypes.data
    before, size = told + CONFIG, 0
    for panel in range(first_panel, end_panel):
        own, first = weight + panel * panel_bytes, panel * PANEL
        away, scales = away_P.ctypes.data + 4 * first, scale_P.ctypes.data + 4 * first
        for row in range(0, n_rows, TOGETHER):
            rows, source = min(TOGETHER, n_rows - row), x + row * row_bytes
            if rows != size:
                sizes(config, rows)
                configured(told, before if size == 0 else 0)
                size = rows
            ahead = own + panel_bytes if row == 0 else 0
            if rows <= HEIGHT:
                FEW_BYTES(source, row_bytes, own, steps, sums, ahead)
            else:
                MANY_BYTES(source, row_bytes, own, steps, sums, ahead)
                MANY_BYTES(source, row_bytes, own + HALF, steps, sums + HALF, 0)
            for r in range(rows):
                out = out_MN.ctypes.data + 2 * ((row + r) * n_out + first)
                scale_sums(sums + PAIR_BYTES * r, away, scale_M[row + r], scales, out, n_out - first)
    if size:
        configured(before, 0)
    # numba frees an array after its last use
    return byte_MQ[0, 0], away_P[0], scale_P[0], sum_RN[0, 0], config[0], out_MN[0, 0]
