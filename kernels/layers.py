"""All layers of a Llama-like decoder in one call, on bf16 rows. Between the kernels of a layer there is no Python; for
one row that takes as long as a fifth of the products.

bf16 numbers are int16 here, the same bits. Legend: L layers, R rows, D d_model, F d_ff, E the widths of queries, keys
and values together, N query heads, K key-value heads, H d_head, P blocks of the pool, B keys of a block.
"""

import numpy as np

from kernels import tiles
from kernels.attention import BFLOAT16, attend
from kernels.decoder import add_and_normalise, gate, narrowed, rotate_and_store
from kernels.jit import jit
from kernels.panels import PANEL, multiply

QKV, OUTPUT, GATE_UP, DOWN = 0, 1, 2, 3  # a layer's matrices
ADDRESS, PANEL_BYTES, CUT, BIAS = 0, 1, 2, 3  # what is told of each; bias: an address, or 0
BY_TILES = 0  # instead of a cut


@jit
def times(x_RK, matrix, out_RN):
    """Write the product of rows with a matrix."""
    panels = (out_RN.shape[1] + PANEL - 1) // PANEL
    x, n_rows, n_in, n_out = x_RK.ctypes.data, x_RK.shape[0], x_RK.shape[1], out_RN.shape[1]
    weight, panel_bytes, cut, bias = matrix[ADDRESS], matrix[PANEL_BYTES], matrix[CUT], matrix[BIAS]
    if cut == BY_TILES:
        tiles.multiply(x, n_rows, n_in, weight, panel_bytes, n_out, bias, 0, 0, panels, out_RN.ctypes.data)
    else:
        multiply(x, n_rows, n_in, weight, panel_bytes, n_out, cut, bias, 0, 0, panels, out_RN.ctypes.data)


@jit
def run_layers(x_RD, matrix_L44, norm_LD, eps, lanes, silu, width_F, turns, pool, places, out_RD):
    """Run rows through the layers and the last norm into `out_RD`; x is changed.

    matrix_L44: what is told of each layer's four matrices, int64. norm_LD: two norms of each layer, and the last.
    turns: cos_RH and sin_RH. pool: keys_LPKHB and values_LPKBH. places: the rows' blocks, slots and positions, the
    table of blocks, the items of attention, the heads' slopes, and scales that are ones."""
    rows, width = x_RD.shape
    cos_RH, sin_RH = turns
    keys_LPKHB, values_LPKBH = pool
    block_R, slot_R, position_R, table_SW, item_I4, slope_N, scale_2PKB = places
    heads, kv_heads, head = len(slope_N), keys_LPKHB.shape[2], keys_LPKHB.shape[3]
    normed, added = np.empty((rows, width), np.int16), np.empty((rows, width), np.int16)
    qkv = np.empty((rows, (heads + 2 * kv_heads) * head), np.int16)
    query, found = np.zeros((rows, heads, head), np.float32), np.zeros((rows, heads, head), np.float32)
    found_bits, attended = found.reshape(-1).view(np.int32), np.empty((rows, heads * head), np.int16)
    both, gated = np.empty((rows, 2 * width_F), np.int16), np.empty((rows, width_F), np.int16)
    n_layers = len(matrix_L44)
    for layer in range(n_layers):
        matrices, keys, values = matrix_L44[layer], keys_LPKHB[layer], values_LPKBH[layer]
        add_and_normalise(x_RD, added, layer > 0, norm_LD[2 * layer], eps, lanes, normed)
        times(normed, matrices[QKV], qkv)
        rotate_and_store(qkv, cos_RH, sin_RH, block_R, slot_R, keys, values, query)
        attend(query, keys, values, scale_2PKB, BFLOAT16, table_SW, position_R, slope_N, item_I4, found)
        narrowed(found_bits, attended.reshape(-1))
        times(attended, matrices[OUTPUT], added)
        add_and_normalise(x_RD, added, True, norm_LD[2 * layer + 1], eps, lanes, normed)
        times(normed, matrices[GATE_UP], both)
        gate(both, silu, gated)
        times(gated, matrices[DOWN], added)
    add_and_normalise(x_RD, added, n_layers > 0, norm_LD[2 * n_layers], eps, lanes, out_RD)
