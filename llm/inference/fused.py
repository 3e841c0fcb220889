"""Runs the layers of a Llama-like model in bf16 with a few kernels between the matrix products in the place of some
forty operators of torch; the bytes are the same (tests/llm/inference/test_fused.py).

Legend: R rows, D d_model, F d_ff, N query heads, H d_head.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm.inference.attention import PagedAttention, raw
from llm.model.positions import rotary_tables
from llm.model.transformer import CausalLM, RMSNorm

try:
    from kernels.decoder import add_and_normalise, gate, rotate_and_store, square_sums
except ImportError:  # where only torch and numpy are installed
    add_and_normalise = None  # type: ignore[assignment]

LANES = (8, 16, 4)  # of a processor's vectors of float32


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


def normalised(x_RD: Tensor, added_RD: Tensor | None, norm: RMSNorm, lanes: int) -> Tensor:
    """Add to `x_RD` in place, and return its RMSNorm."""
    out_RD = torch.empty_like(x_RD)
    x = raw(x_RD)
    added = x if added_RD is None else raw(added_RD)
    weight, eps = raw(norm.weight.detach()), np.float32(norm.eps)
    add_and_normalise(x, added, added_RD is not None, weight, eps, lanes, raw(out_RD))
    return out_RD


def hidden(model: CausalLM, tokens_R: Tensor, paged: PagedAttention) -> Tensor:
    """Return what `model.hidden` does, [R, D], for a model that `can_fuse` and a pool in bf16."""
    config = model.config
    decoder: Any = model.model  # nn.Module knows no names of its parts
    lanes = lanes_of_sums(config.d_model)
    assert lanes is not None
    x_RD = F.embedding(tokens_R, decoder.embed_tokens.weight)
    tables = rotary_tables(paged.position_BT, config, paged.longest)
    cos_RH, sin_RH = (table[0].bfloat16().float().numpy() for table in tables)
    block_R, slot_R = paged.block_R.numpy(), paged.slot_R.numpy()
    query_RNH = torch.zeros((len(tokens_R), config.n_heads, config.d_head))
    query, found_RNH = query_RNH.numpy(), torch.zeros_like(query_RNH)
    gated_RF = torch.empty((len(tokens_R), config.d_ff), dtype=torch.bfloat16)
    gated, silu = raw(gated_RF), silu_table()
    added_RD = None
    for index, layer in enumerate(decoder.layers):
        attention, mlp = layer.self_attn, layer.mlp
        keys, values = paged.pool.raw[index]
        normed_RD = normalised(x_RD, added_RD, layer.input_layernorm, lanes)
        q, k, v = (raw(project(normed_RD)) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
        rotate_and_store(q, k, v, cos_RH, sin_RH, block_R, slot_R, keys, values, query)
        paged.by_kernel(index, query_RNH, found_RNH)
        added_RD = attention.o_proj(found_RNH.flatten(1).bfloat16())
        normed_RD = normalised(x_RD, added_RD, layer.post_attention_layernorm, lanes)
        gate(raw(mlp.gate_proj(normed_RD)), raw(mlp.up_proj(normed_RD)), silu, gated)
        added_RD = mlp.down_proj(gated_RF)
    return normalised(x_RD, added_RD, decoder.norm, lanes)
