"""Counts of published families against the tensors that transformers builds for them: mixtures, latents, four norms.

Sizes are small and odd, so that no two terms of a formula can stand for each other.
"""

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from llm.model import counts
from llm.model.shape import Shape

COMMON = {"vocab_size": 331, "hidden_size": 48, "num_hidden_layers": 5, "num_attention_heads": 4}
GROUPED = COMMON | {"num_key_value_heads": 2, "intermediate_size": 56}
SIZES = {"vocab_size": 331, "d_model": 48, "n_layers": 5, "n_heads": 4}
MIXED = {"experts": 6, "experts_per_token": 2}
FAMILIES = {
    "mixtral": (
        GROUPED | {"num_local_experts": 6, "num_experts_per_tok": 2},
        Shape.llama(**SIZES, n_kv_heads=2, d_ff=56, **MIXED),
    ),
    "qwen3_moe": (
        GROUPED | {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 20},
        Shape.llama(**SIZES, n_kv_heads=2, d_ff=56, d_head=20, qk_norm=True, d_expert=24, **MIXED),
    ),
    "qwen2_moe": (
        GROUPED
        | {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
        | {"shared_expert_intermediate_size": 72},
        Shape.llama(
            **SIZES, n_kv_heads=2, d_ff=56, qkv_bias=True, d_expert=24, shared_experts=3, shared_gate=True, **MIXED
        ),
    ),
    "deepseek_v3": (
        COMMON
        | {"num_key_value_heads": 4, "intermediate_size": 88, "n_routed_experts": 8, "num_experts_per_tok": 2}
        | {"moe_intermediate_size": 24, "n_shared_experts": 1, "first_k_dense_replace": 2, "n_group": 2}
        | {"topk_group": 1}
        | {"kv_lora_rank": 18, "q_lora_rank": 14, "qk_rope_head_dim": 6, "qk_nope_head_dim": 10, "v_head_dim": 12},
        Shape.llama(
            **SIZES, n_kv_heads=4, d_ff=88, d_head=10, d_rope=6, d_value=12, kv_rank=18, q_rank=14,
            experts=8, experts_per_token=2, d_expert=24, shared_experts=1, dense_layers=2,
        ),
    ),
    "gemma2": (
        GROUPED | {"head_dim": 20, "sliding_window": 16},
        Shape.llama(
            **SIZES, n_kv_heads=2, d_ff=56, d_head=20, tied=True, norms_per_layer=4, window=16, full_every=2
        ),
    ),
    "gpt_oss": (
        GROUPED | {"head_dim": 20, "num_local_experts": 6, "num_experts_per_tok": 2, "sliding_window": 16},
        Shape.llama(
            **SIZES, n_kv_heads=2, d_ff=56, d_head=20, qkv_bias=True, output_bias=True, ffn_bias=True,
            router_bias=True, sinks=True, window=16, full_every=2, **MIXED,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_that_transformers_builds(family):
    section, shape = FAMILIES[family]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**section))
    assert counts.total(shape) == sum(weight.numel() for weight in model.parameters())


def test_active_parameters_leave_out_the_experts_that_a_token_does_not_meet():
    shape = FAMILIES["deepseek_v3"][1]
    idle = 3 * (8 - 2) * 3 * 48 * 24  # three mixture layers, three matrices each
    assert counts.total(shape) - counts.active(shape) == idle
    assert counts.active(FAMILIES["gemma2"][1]) == counts.total(FAMILIES["gemma2"][1])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_is_multiplied_by_its_active_matrices(family):
    """What is no matrix (norms, biases, sinks) and the embeddings aside, active parameters are products."""
    shape = FAMILIES[family][1]
    small = {"norms", "qk_norm", "embedding", "lm_head", "sinks"}
    found = sum(size for block, size in counts.parameters(shape).items() if block not in small)
    found -= counts.total(shape) - counts.active(shape)
    few = 0.02 * found  # biases and norms of latents
    assert found - few <= counts.multiplied(shape) <= found


@pytest.mark.parametrize("window", [1, 3, 8, 50])
@pytest.mark.parametrize("tokens", [1, 8, 33])
def test_keys_seen_through_a_window(tokens, window):
    """Against a mask: query i sees min(i + 1, window) keys; the formula has it as a mean over a continuous sequence."""
    seen = sum(min(place + 1, window) for place in range(tokens)) / tokens
    assert counts.keys_in_window(tokens, window, "causal") == pytest.approx(seen, abs=0.5)
    assert counts.keys_in_window(tokens, window, "full") == min(tokens, window)
    assert counts.keys_in_window(tokens, window, "none") == 0


def test_a_window_bounds_the_cache():
    shape = FAMILIES["gemma2"][1]  # five layers, the second and the fourth see all
    each = 2 * 2 * 20 * 2
    assert shape.window_layers == 3
    assert counts.kv_bytes(shape, 16) == 5 * 16 * each == 16 * counts.kv_bytes_per_token(shape)
    assert counts.kv_bytes(shape, 100, users=3) == 3 * (2 * 100 + 3 * 16) * each
    latent = FAMILIES["deepseek_v3"][1]
    assert counts.kv_bytes_per_token(latent) == 5 * (18 + 6) * 2
