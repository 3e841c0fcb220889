"""Slices of canonical tensors in megatron-core's parameters: complete, disjoint, and where megatron-core has them."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.model.config import ModelConfig
from llm.pretrain.engines.megatron.names import parts, rectangles, segments

CONFIG = ModelConfig(67, 16, 1, 8, 4, 6, 20, 16, bias=True, norm="layernorm", position="learned", qk_norm=True)


def parameters(config: ModelConfig, tensor: int) -> dict[str, tuple[int, ...]]:
    """Shapes of one tensor rank's parameters, as megatron-core has them."""
    gated = 2 if config.activation == "swiglu" else 1
    qkv = (config.n_heads + 2 * config.n_kv_heads) * config.d_head // tensor
    d, f = config.d_model, config.d_ff // tensor
    return {
        "embedding.word_embeddings.weight": (-(-config.vocab_size // tensor), d),
        "embedding.position_embeddings.weight": (config.context_length, d),
        "decoder.final_layernorm.bias": (d,),
        "input_layernorm.weight": (d,),
        "pre_mlp_layernorm.weight": (d,),
        "self_attention.q_layernorm.weight": (config.d_head,),
        "self_attention.linear_qkv.weight": (qkv, d),
        "self_attention.linear_qkv.bias": (qkv,),
        "self_attention.linear_proj.weight": (d, config.n_heads * config.d_head // tensor),
        "self_attention.linear_proj.bias": (d,),
        "mlp.linear_fc1.weight": (gated * f, d),
        "mlp.linear_fc1.bias": (gated * f,),
        "mlp.linear_fc2.weight": (d, f),
        "mlp.linear_fc2.bias": (d,),
    }


def segments_of(name: str, shape: tuple[int, ...], rank: int, config: ModelConfig) -> list:
    return segments(name, shape, None if name.startswith(("embedding", "decoder")) else 0, rank, config)


@pytest.mark.parametrize("activation", ["swiglu", "gelu"])
@pytest.mark.parametrize("tensor", [1, 2, 4])
@given(cuts=st.lists(st.floats(0, 1), max_size=3))
def test_every_element_is_in_one_place(activation, tensor, cuts):
    """Flat ranges that end anywhere, over all tensor ranks, give each canonical tensor back, each element once."""
    config = replace(CONFIG, activation=activation)
    for name, shape in parameters(config, tensor).items():
        times: dict[str, np.ndarray] = {}
        for rank in range(tensor):
            found = segments_of(name, shape, rank, config)
            size = prod(shape)
            ends = sorted({0, size, *(int(cut * size) for cut in cuts)})
            for start, end in zip(ends, ends[1:], strict=False):
                covered = 0
                for segment, first, where in parts(found, shape[1] if len(shape) == 2 else 1, start, end):
                    count = times.setdefault(segment.name, np.zeros(segment.shape, int))
                    count[where] += 1
                    assert start <= first < first + count[where].size <= end
                    covered += count[where].size
                assert covered == end - start or name.startswith("embedding.word")
        whole = name.endswith(("layernorm.weight", "layernorm.bias", "proj.bias", "fc2.bias")) or "position" in name
        for tensor_name, count in times.items():
            assert (count == (tensor if whole else 1)).all(), tensor_name


@pytest.mark.parametrize("tensor", [1, 2, 4])
def test_heads_stand_as_megatron_core_reads_them(tensor):
    """linear_qkv.view(groups, queries + 2, d_head, d): its query heads, its key, its value for each group."""
    shape = parameters(CONFIG, tensor)["self_attention.linear_qkv.weight"]
    queries = CONFIG.n_heads // CONFIG.n_kv_heads
    canonical = {
        f"model.layers.0.self_attn.{part}_proj.weight": np.random.default_rng(number).normal(size=(heads * 6, 16))
        for number, (part, heads) in enumerate((("q", 8), ("k", 4), ("v", 4)))
    }
    q, k, v = (array.reshape(-1, 6, 16) for array in canonical.values())
    for rank in range(tensor):
        flat = np.empty(prod(shape))
        for segment, first, where in parts(
            segments_of("self_attention.linear_qkv.weight", shape, rank, CONFIG), 16, 0, flat.size
        ):
            piece = canonical[segment.name][where]
            flat[first : first + piece.size] = piece.ravel()
        groups = flat.reshape(4 // tensor, queries + 2, 6, 16)
        for own, group in enumerate(range(rank * 4 // tensor, (rank + 1) * 4 // tensor)):
            assert np.array_equal(groups[own, :queries], q[group * queries : (group + 1) * queries])
            assert np.array_equal(groups[own, queries], k[group])
            assert np.array_equal(groups[own, queries + 1], v[group])


@given(st.integers(1, 7), st.integers(0, 40), st.integers(0, 40))
def test_rectangles_are_the_range_in_order(columns, one, other):
    start, end = sorted((one, other))
    found = list(rectangles(start, end, columns))
    elements = [
        row * columns + c
        for top, bottom, left, right in found
        for row in range(top, bottom)
        for c in range(left, right)
    ]
    assert elements == list(range(start, end))
    assert len(found) <= 3
