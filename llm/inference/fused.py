"""Runs the layers of a Llama-like model in bf16 with a few kernels between the matrix products in the place of some
forty operators of torch, and where these products are kernels, too, all layers in one call; the bytes are the same
(tests/llm/inference/test_fused.py).

Legend: R rows, D d_model, F d_ff, N query heads, H d_head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm.inference.attention import NO_SCALES, PagedAttention, raw
from llm.inference.reordered import Part, ReorderedLinear, join, side_by_side
from llm.model.positions import rotary_tables
from llm.model.transformer import CausalLM
from llm.runtime.malloc import give_back_freed_memory

try:
    from kernels.decoder import add_and_normalise, gate, rotate_and_store, square_sums
    from kernels.layers import run_layers
except ImportError:  # where only torch and numpy are installed
    add_and_normalise = None  # type: ignore[assignment]

QKV, GATE_UP = ("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj")
LANES = (8, 16, 4)  # of a processor's vectors of float32


Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Norm:
    """An RMSNorm's weight, and eps as float32."""

    weight: Tensor
    eps: np.float32

    @classmethod
    def of(cls, norm: Any) -> "Norm":
        return cls(norm.weight, np.float32(norm.eps))


@dataclass(frozen=True)
class LayerCalls:
    """What a layer is made of, looked up once. A row of `queries_keys_values` has all three side by side, one of
    `gate_and_up` both."""

    norm: Norm
    queries_keys_values: Product
    output: Product
    norm_after: Norm
    gate_and_up: Product
    down: Product


@dataclass(frozen=True)
class OneCall:
    """What the kernel that runs all layers is told of the weights: see run_layers. linear: whose memory that is."""

    matrix_L44: np.ndarray
    norm_LD: np.ndarray
    linear: list[ReorderedLinear]

    @classmethod
    def of(cls, model: CausalLM) -> "OneCall | None":
        """Return what the layers that are `prepared` have; None where one of their products has no kernel."""
        decoder: Any = model.model
        linear, norms = [], []
        for layer in decoder.layers:
            attention, mlp = layer.self_attn, layer.mlp
            for each in (attention.q_proj, attention.o_proj, mlp.gate_proj, mlp.down_proj):
                whole = each.whole if isinstance(each, Part) else each
                if not isinstance(whole, ReorderedLinear) or whole.matrix.cut is None:
                    return None
                linear.append(whole)
            norms += [layer.input_layernorm, layer.post_attention_layernorm]
        told = [
            (
                each.matrix.address,
                each.matrix.panel_bytes,
                each.matrix.cut,
                0 if each.bias is None else each.bias.data_ptr(),
            )
            for each in linear
        ]
        norm_LD = np.stack([raw(norm.weight.detach()) for norm in (*norms, decoder.norm)])
        return cls(np.array(told, np.int64).reshape(len(decoder.layers), 4, 4), norm_LD, linear)

    def hidden(
        self, model: CausalLM, x_RD: Tensor, turns: tuple[np.ndarray, np.ndarray], paged: PagedAttention
    ) -> Tensor:
        """Return the embedded rows `x_RD`, which are changed, after the last norm. turns: cos and sin [R, H]."""
        config, pool, layout = model.config, paged.pool, paged.layout
        out_RD = torch.empty_like(x_RD)
        blocks = paged.block_R.numpy(), paged.slot_R.numpy(), layout.position_R, layout.table_SW
        run_layers(
            raw(x_RD),
            self.matrix_L44,
            self.norm_LD,
            np.float32(config.norm_eps),
            lanes_of_sums(config.d_model),
            silu_table(),
            config.d_ff,
            turns,
            (raw(pool.keys_LPKHB), raw(pool.values_LPKBH)),
            (*blocks, paged.items[0], paged.slopes, NO_SCALES),
            raw(out_RD),
        )
        return out_RD


def can_fuse(model: CausalLM) -> bool:
    """Is it a model of the one kind that the kernels are for, on a processor whose sums they know?"""
    config, weight = model.config, model.model.embed_tokens.weight
    parts = (config.norm, config.norm_order, config.position, config.activation)
    if add_and_normalise is None or not weight.is_cpu or weight.dtype != torch.bfloat16:
        return False
    if parts != ("rmsnorm", "pre", "rope", "swiglu") or config.qk_norm or config.embedding_norm:
        return False
    return lanes_of_sums(config.d_model) is not None


@cache
def lanes_of_sums(width: int) -> int | None:
    """Return how many numbers torch adds side by side in a norm of `width`, found by comparing; None: unknown."""
    x_RD = torch.randn((64, width), generator=torch.Generator().manual_seed(0))
    expected_R, found_R = x_RD.square().sum(-1), torch.empty(64)
    for lanes in LANES:
        square_sums(x_RD.numpy(), lanes, found_R.numpy())
        if torch.equal(found_R, expected_R):
            return lanes
    return None


@cache
def silu_table() -> np.ndarray:
    """Return silu of each bf16 number, rounded to bf16, as float32 by the number's bits."""
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    return F.silu(bits.view(torch.bfloat16)).float().numpy()


def prepared(model: CausalLM) -> list[LayerCalls]:
    """Make one product of the three that give queries, keys and values, and one of gate and up, in place, and return
    what to call. Layers that adapters add to stay as they are."""
    found = []
    decoder: Any = model.model  # nn.Module knows no names of its parts
    for layer in decoder.layers:
        join(layer.self_attn, QKV)
        join(layer.mlp, GATE_UP)
        give_back_freed_memory()
        found.append(
            LayerCalls(
                Norm.of(layer.input_layernorm),
                side_by_side([layer.self_attn.get_submodule(name) for name in QKV]),
                layer.self_attn.o_proj.forward,
                Norm.of(layer.post_attention_layernorm),
                side_by_side([layer.mlp.get_submodule(name) for name in GATE_UP]),
                layer.mlp.down_proj.forward,
            )
        )
    return found


def normalised(x_RD: np.ndarray, added_RD: Tensor | None, norm: Norm, lanes: int, out_RD: np.ndarray) -> None:
    """Add to `x_RD` in place, and write its RMSNorm; x and out: the bits of bf16."""
    added = x_RD if added_RD is None else raw(added_RD)
    add_and_normalise(x_RD, added, added_RD is not None, raw(norm.weight.detach()), norm.eps, lanes, out_RD)


def hidden(
    model: CausalLM,
    layers: list[LayerCalls],
    one_call: OneCall | None,
    tokens_R: Tensor,
    paged: PagedAttention,
    rows: list[int] | None = None,
) -> Tensor:
    """Return what `model.hidden` does, [R, D], for a model that `can_fuse` and a pool in bf16. layers: `prepared`.
    rows: those that are returned, among them all that `paged` knows as needed; from the last layer's attention on
    nothing else is computed."""
    config = model.config
    lanes = lanes_of_sums(config.d_model)
    assert lanes is not None
    x_RD = model.model.embed_tokens(tokens_R)
    tables = rotary_tables(paged.position_BT, config, paged.longest)
    cos_RH, sin_RH = (table[0].bfloat16().float().numpy() for table in tables)
    if one_call is not None and rows is None and torch.get_num_threads() == 1 and len(paged.items) == 1:
        return one_call.hidden(model, x_RD, (cos_RH, sin_RH), paged)
    block_R, slot_R = paged.block_R.numpy(), paged.slot_R.numpy()
    query_RNH = torch.zeros((len(tokens_R), config.n_heads, config.d_head))
    query, found_RNH = query_RNH.numpy(), torch.zeros_like(query_RNH)
    normed_RD, gated_RF = torch.empty_like(x_RD), x_RD.new_empty((len(tokens_R), config.d_ff))
    x, normed, gated, silu = raw(x_RD), raw(normed_RD), raw(gated_RF), silu_table()
    added_RD = None
    for layer, (keys, values), index in zip(layers, paged.pool.raw, range(config.n_layers), strict=True):
        normalised(x, added_RD, layer.norm, lanes, normed)
        qkv = raw(layer.queries_keys_values(normed_RD))
        rotate_and_store(qkv, cos_RH, sin_RH, block_R, slot_R, keys, values, query)
        if rows == [] and index == config.n_layers - 1:
            return x_RD[:0]
        if rows is not None and index == config.n_layers - 1:
            paged.by_kernel(index, query_RNH, found_RNH, needed=True)
            x_RD, found_RNH = x_RD[rows], found_RNH[rows]
            normed_RD, gated_RF = normed_RD[: len(rows)], gated_RF[: len(rows)]
            x, normed, gated = raw(x_RD), raw(normed_RD), raw(gated_RF)
        else:
            paged.by_kernel(index, query_RNH, found_RNH)
        added_RD = layer.output(found_RNH.flatten(1).bfloat16())
        normalised(x, added_RD, layer.norm_after, lanes, normed)
        gate(raw(layer.gate_and_up(normed_RD)), silu, gated)
        added_RD = layer.down(gated_RF)
    normalised(x, added_RD, Norm.of(model.model.norm), lanes, normed)
    return normed_RD
