"""Keeps the keys and values of a paged cache, and lets a model's layers attend to them.

Three ways to compute: "kernel" (numba) and "tensors" (plain operations, slow) reduce over the keys in one fixed order
and give the same bytes for a row whatever else is computed beside it; "sdpa" gathers each sequence's blocks and calls
torch's attention, which is for GPUs, and promises nothing about bytes.

Legend: L layers, R rows (tokens of a step), N query heads, K key-value heads, H d_head, B keys of a block, P blocks of
the pool, S sequences of a step, W blocks of the longest table, I items of the kernel's work.
"""

import math
import mmap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from llm.inference import fixed_order
from llm.inference.fixed_order import BLOCK
from llm.model.config import ModelConfig
from llm.model.positions import alibi_bias, alibi_slopes
from llm.model.transformer import attend

try:
    from kernels.attention import BFLOAT16, DENSE, INT8
    from kernels.attention import attend as kernel
except ImportError:  # where only torch and numpy are installed
    kernel = None  # type: ignore[assignment]

Way = Literal["kernel", "tensors", "sdpa"]
TILE = 16  # rows that share a block's way through the processor's cache
NO_SCALES = np.ones((2, 1, 1, 1), np.float32)
WORTH_A_THREAD = 64 * 1024  # products of a query and a key; below, handing work over takes longer than doing it


class KVPool:
    """One layer after the other: keys [P, K, H, B], transposed in their block, and values [P, K, B, H]. In int8 each
    key and each value has a scale of its own. raw: the same memory for kernels, layer by layer."""

    def __init__(self, config: ModelConfig, n_blocks: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (config.n_layers, n_blocks, config.n_kv_heads)
        self.dtype, self.n_blocks = dtype, n_blocks
        self.keys_LPKHB = zeros((*shape, config.d_head, BLOCK), dtype, device)
        self.values_LPKBH = zeros((*shape, BLOCK, config.d_head), dtype, device)
        scales = (config.n_layers, 2, n_blocks, config.n_kv_heads, BLOCK) if dtype == torch.int8 else (0,)
        self.scale_L2PKB = torch.ones(scales, dtype=torch.float32, device=device)
        pairs = zip(self.keys_LPKHB, self.values_LPKBH, strict=True)
        self.raw = [(raw(keys), raw(values)) for keys, values in pairs] if device.type == "cpu" else []

    def store(self, layer: int, k_RKH: Tensor, v_RKH: Tensor, block_R: Tensor, slot_R: Tensor) -> None:
        """Write the rows' keys and values to their slots."""
        if self.dtype == torch.int8:
            scales = self.scale_L2PKB[layer]
            k_RKH, scales[0][block_R, :, slot_R] = rounded(k_RKH)
            v_RKH, scales[1][block_R, :, slot_R] = rounded(v_RKH)
        # Indices on both sides of a slice come first: [R, K, H].
        self.keys_LPKHB[layer][block_R, :, :, slot_R] = k_RKH.to(self.dtype)
        self.values_LPKBH[layer][block_R, :, slot_R] = v_RKH.to(self.dtype)

    def gathered(self, layer: int, table_SW: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the keys and values of sequences' blocks, [S, K, W * B, H]."""
        keys_SWKHB, values_SWKBH = self.keys_LPKHB[layer][table_SW], self.values_LPKBH[layer][table_SW]
        if self.dtype == torch.int8:
            scales = self.scale_L2PKB[layer][:, table_SW]
            keys_SWKHB, values_SWKBH = keys_SWKHB * scales[0][..., None, :], values_SWKBH * scales[1][..., None]
        keys_SKWBH, values_SKWBH = keys_SWKHB.permute(0, 2, 1, 4, 3), values_SWKBH.transpose(1, 2)
        return keys_SKWBH.flatten(2, 3).to(dtype), values_SKWBH.flatten(2, 3).to(dtype)

    def dense(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return a layer's keys and values as fp32."""
        keys, values = self.keys_LPKHB[layer].float(), self.values_LPKBH[layer].float()
        if self.dtype == torch.int8:
            keys = keys * self.scale_L2PKB[layer, 0][:, :, None]
            values = values * self.scale_L2PKB[layer, 1][..., None]
        return keys, values

    def copy(self, source: int, target: int) -> None:
        """Copy a block's content in every layer."""
        self.keys_LPKHB[:, target] = self.keys_LPKHB[:, source]
        self.values_LPKBH[:, target] = self.values_LPKBH[:, source]
        if self.dtype == torch.int8:
            self.scale_L2PKB[:, :, target] = self.scale_L2PKB[:, :, source]


def zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros; on the CPU in memory of large pages, as far as the kernel has them, which is taken once it is
    written to. A step reads blocks from all over the pool, and with small ones each block would be some pages more to
    look up."""
    if device.type != "cpu" or math.prod(shape) == 0:
        return torch.zeros(shape, dtype=dtype, device=device)
    memory = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def raw(x: Tensor) -> np.ndarray:
    """Return the memory of a tensor; that of bf16 as int16."""
    return (x.view(torch.int16) if x.dtype == torch.bfloat16 else x).numpy()


def rounded(x_RKH: Tensor) -> tuple[Tensor, Tensor]:
    """Return vectors as whole numbers up to 127, and their scales [R, K]."""
    x_RKH = x_RKH.float()
    largest_RK = x_RKH.abs().amax(-1)
    scale_RK = torch.where(largest_RK > 0, largest_RK / largest_RK.new_full((1,), 127.0), 1.0)
    return torch.round(x_RKH / scale_RK[..., None]), scale_RK


def block_bytes(config: ModelConfig, dtype: torch.dtype) -> int:
    """Return the bytes that one block takes in all layers."""
    vectors = 2 * config.n_layers * config.n_kv_heads * BLOCK
    return vectors * (config.d_head * dtype.itemsize + (4 if dtype == torch.int8 else 0))


@dataclass(frozen=True)
class Layout:
    """Where the rows of one step stand. Rows of a sequence are neighbours and their positions rise; what follows the
    last of `spans` (first row, end; one for each sequence) is padding. needed: of each span the rows (first,
    end) that are asked for; None: all."""

    position_R: np.ndarray
    spans: list[tuple[int, int]]
    table_SW: np.ndarray
    needed: list[tuple[int, int]] | None = None

    @property
    def n_rows(self) -> int:
        return self.spans[-1][1]


class PagedAttention:
    """What a model's forward pass asks about one step: see llm/model/attending.py."""

    def __init__(self, config: ModelConfig, pool: KVPool, layout: Layout, way: Way, threads: "Threads") -> None:
        self.config, self.pool, self.layout, self.way, self.threads = config, pool, layout, way, threads
        device = pool.keys_LPKHB.device
        n_rows = layout.n_rows
        self.position_BT = torch.from_numpy(layout.position_R)[None].to(device)
        self.longest = int(layout.position_R.max()) + 1
        lengths = [end - begin for begin, end in layout.spans]
        sequence_R = np.repeat(np.arange(len(lengths)), lengths)
        used_R = layout.position_R[:n_rows]
        self.sequence_R = torch.from_numpy(sequence_R).to(device)
        self.block_R = torch.from_numpy(layout.table_SW[sequence_R, used_R // BLOCK]).to(device)
        self.slot_R = torch.from_numpy(used_R % BLOCK).to(device)
        self.slopes = np.array(
            alibi_slopes(config.n_heads) if config.position == "alibi" else [0.0] * config.n_heads, np.float32
        )
        if way == "kernel":
            self.items = threads.divided(layout, layout.spans, config)
        if way == "sdpa":
            self.row_R, self.mask = self.rectangle()

    def attend(self, layer: int, q_BNTH: Tensor, k_BKTH: Tensor, v_BKTH: Tensor) -> Tensor:
        """Keep a layer's new keys and values, and return what the rows' queries find: [1, N, R, H]."""
        n_rows = self.layout.n_rows
        k_RKH, v_RKH = (x[0, :, :n_rows].transpose(0, 1) for x in (k_BKTH, v_BKTH))
        self.pool.store(layer, k_RKH, v_RKH, self.block_R, self.slot_R)
        q_RNH = q_BNTH[0].transpose(0, 1)
        if self.way == "sdpa":
            found_RNH = self.by_sdpa(layer, q_RNH[:n_rows])
        elif self.way == "tensors":
            keys_PKHB, values_PKBH = self.pool.dense(layer)
            table_SW = torch.from_numpy(self.layout.table_SW).to(q_RNH.device)
            slope_N = torch.from_numpy(self.slopes).to(q_RNH.device)
            found_RNH = fixed_order.attend(
                q_RNH[:n_rows].float(),
                keys_PKHB,
                values_PKBH,
                table_SW,
                self.sequence_R,
                self.position_BT[0, :n_rows],
                slope_N,
            )
        else:
            query_RNH = q_RNH.float().contiguous()
            found_RNH = self.by_kernel(layer, query_RNH, torch.empty_like(query_RNH))
        output_RNH = q_RNH.new_zeros(q_RNH.shape)
        output_RNH[:n_rows] = found_RNH[:n_rows].to(q_RNH.dtype)
        return output_RNH.transpose(0, 1)[None]

    def by_kernel(self, layer: int, query_RNH: Tensor, output_RNH: Tensor, needed: bool = False) -> Tensor:
        """Write what the rows' queries find into `output_RNH`, and return it; fp32, both. needed: of the rows that are
        asked for alone."""
        items = self.threads.divided(self.layout, self.layout.needed or [], self.config) if needed else self.items
        pool = self.pool
        keys, values = pool.raw[layer]
        kind = {torch.bfloat16: BFLOAT16, torch.int8: INT8}.get(pool.dtype, DENSE)
        scales = pool.scale_L2PKB[layer].numpy() if kind == INT8 else NO_SCALES
        self.threads.run(
            query_RNH.numpy(),
            keys,
            values,
            scales,
            kind,
            self.layout.table_SW,
            self.layout.position_R,
            self.slopes,
            items,
            output_RNH.numpy(),
        )
        return output_RNH

    def by_sdpa(self, layer: int, q_RNH: Tensor) -> Tensor:
        """Pad the sequences' rows and blocks to rectangles, and take torch's attention."""
        table_SW = torch.from_numpy(self.layout.table_SW).to(q_RNH.device)
        q_STNH = q_RNH.new_zeros((len(table_SW), self.mask.shape[2], *q_RNH.shape[1:]))
        q_STNH[self.sequence_R, self.row_R] = q_RNH
        k_SKTH, v_SKTH = self.pool.gathered(layer, table_SW, q_RNH.dtype)
        found_SNTH = attend(q_STNH.transpose(1, 2), k_SKTH, v_SKTH, self.mask)
        return found_SNTH.transpose(1, 2)[self.sequence_R, self.row_R]

    def rectangle(self) -> tuple[Tensor, Tensor]:
        """Return each row's place in its sequence's part of the step, and what the sequences' rows see of their slots,
        [S, 1 or N, T, slots], T rows of the longest part."""
        lengths = [end - begin for begin, end in self.layout.spans]
        row_R = torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])).to(self.sequence_R.device)
        position_ST = self.position_BT.new_zeros((len(lengths), max(lengths)))
        position_ST[self.sequence_R, row_R] = self.position_BT[0, : len(row_R)]
        n_slots = self.layout.table_SW.shape[1] * BLOCK
        if self.config.position == "alibi":
            return row_R, alibi_bias(position_ST, n_slots, self.config.n_heads)
        return row_R, (position_ST[..., None] >= torch.arange(n_slots, device=row_R.device))[:, None]


class Threads:
    """Runs the kernel on as many threads as torch uses; which thread has which item changes no byte."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.pool = ThreadPoolExecutor(n_threads - 1) if n_threads > 1 else None

    def divided(self, layout: Layout, spans: list[tuple[int, int]], config: ModelConfig) -> list[np.ndarray]:
        """Cut rows of a step, a span (first, end; at least one has a row) for each sequence, into items, for each
        thread about the same work."""
        items = [
            (sequence, head, row, min(row + TILE, end))
            for sequence, (begin, end) in enumerate(spans)
            for row in range(begin, end, TILE)
            for head in range(config.n_kv_heads)
        ]
        found = np.array(items, np.int64)
        work = (layout.position_R[found[:, 3] - 1] + 1) * (found[:, 3] - found[:, 2])
        group = config.n_heads // config.n_kv_heads
        if self.pool is None or work.sum() * group < WORTH_A_THREAD:
            return [found]
        order = np.argsort(-work, kind="stable")
        return [found[np.sort(order[thread :: self.n_threads])] for thread in range(self.n_threads)]

    def run(self, query, keys, values, scales, kind, table, position, slopes, items, output) -> None:
        """Run the kernel over the parts of `items`, and return when all are done."""
        waiting = [
            self.pool.submit(kernel, query, keys, values, scales, kind, table, position, slopes, part, output)
            for part in items[1:]
            if self.pool is not None
        ]
        kernel(query, keys, values, scales, kind, table, position, slopes, items[0], output)
        for future in waiting:
            future.result()


def best_way(device: torch.device, deterministic: bool) -> Way:
    """Choose how to attend on a device."""
    if not deterministic or device.type != "cpu":
        return "sdpa"
    return "tensors" if kernel is None else "kernel"
