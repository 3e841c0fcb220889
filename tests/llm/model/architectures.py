"""Architectures for tests: one of every Hugging Face family and of none, and a strategy that combines everything."""

import dataclasses

import torch
from hypothesis import strategies as st

from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM

VOCAB = 97
LLAMA = ModelConfig(VOCAB, 48, 3, 6, 2, 8, 80, 64)
GPT2 = dataclasses.replace(
    LLAMA, n_kv_heads=6, position="learned", norm="layernorm", activation="gelu_tanh", bias=True, init="scaled"
)
BLOOM = dataclasses.replace(GPT2, position="alibi", embedding_norm=True, d_ff=192)
MPT = dataclasses.replace(BLOOM, embedding_norm=False, bias=False, activation="gelu")
QWEN2 = dataclasses.replace(LLAMA, qkv_bias=True)
QWEN3 = dataclasses.replace(LLAMA, qk_norm=True, d_head=12, z_loss=1e-4)
ORIGINAL = dataclasses.replace(GPT2, position="sinusoidal", norm_order="post", activation="relu")
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
SCALINGS = [
    {"rope_type": "linear", "factor": 4.0},
    {"rope_type": "dynamic", "factor": 4.0},
    YARN,
    YARN | {"attention_factor": 0.7, "beta_fast": 8.0, "beta_slow": 2.0},
    LLAMA3,
]


def rope(**changes: object) -> ModelConfig:
    return dataclasses.replace(LLAMA, **changes)


IN_A_FAMILY = {
    "llama, gqa": LLAMA,
    "llama, mha, untied, d_head stated": rope(n_kv_heads=6, tie_embeddings=False, d_head=12),
    "llama, mqa, other theta and eps": rope(n_kv_heads=1, rope_theta=500.0, norm_eps=1e-3),
    "llama, biases": rope(bias=True, init="normal"),
    "llama, linear": rope(rope_scaling=SCALINGS[0]),
    "llama, dynamic, beyond its context": rope(rope_scaling=SCALINGS[1], context_length=24),
    "llama, yarn": rope(rope_scaling=SCALINGS[2]),
    "llama, yarn, all keys": rope(rope_scaling=SCALINGS[3]),
    "llama, llama3": rope(rope_scaling=SCALINGS[4], rope_theta=500000.0),
    "qwen2": QWEN2,
    "qwen2, yarn, untied": dataclasses.replace(QWEN2, rope_scaling=YARN, tie_embeddings=False),
    "qwen3": QWEN3,
    "qwen3, yarn, untied": dataclasses.replace(QWEN3, rope_scaling=YARN, tie_embeddings=False),
    "gpt2": GPT2,
    "gpt2, relu, untied": dataclasses.replace(GPT2, activation="relu", tie_embeddings=False, d_ff=192),
    "gpt2, exact gelu": dataclasses.replace(GPT2, activation="gelu"),
    "bloom, 6 heads": BLOOM,
    "bloom, 8 heads, untied": dataclasses.replace(BLOOM, n_heads=8, n_kv_heads=8, d_head=6, tie_embeddings=False),
    "mpt, 6 heads": MPT,
    "mpt, 8 heads": dataclasses.replace(MPT, n_heads=8, n_kv_heads=8, d_head=6),
}
IN_NONE = {
    "original transformer": ORIGINAL,
    "alibi, gqa, swiglu, qk-norm": rope(position="alibi", qk_norm=True),
    "qwen2 with qk-norm": dataclasses.replace(QWEN2, qk_norm=True),
    "post-norm, rope, rmsnorm, biases": rope(norm_order="post", bias=True),
    "learned, layernorm without biases": dataclasses.replace(GPT2, bias=False),
}
ALL = IN_A_FAMILY | IN_NONE


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    """Any valid architecture, small."""
    position = draw(st.sampled_from(["rope", "alibi", "sinusoidal", "learned"]))
    n_kv_heads, group = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 3]))
    n_heads, d_head = n_kv_heads * group, draw(st.sampled_from([4, 6]))
    d_model = draw(st.sampled_from([n_heads * d_head, n_heads * 4, 20]))
    bias = draw(st.booleans())
    return ModelConfig(
        vocab_size=draw(st.integers(4, 40)),
        d_model=d_model,
        n_layers=draw(st.integers(1, 2)),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_head,
        d_ff=draw(st.sampled_from([12, 4 * d_model])),
        context_length=draw(st.sampled_from([16, 40])),
        position=position,
        rope_theta=draw(st.sampled_from([10000.0, 500.0])) if position == "rope" else 10000.0,
        rope_scaling=draw(st.sampled_from([None, *SCALINGS])) if position == "rope" else None,
        norm=draw(st.sampled_from(["rmsnorm", "layernorm"])),
        norm_order=draw(st.sampled_from(["pre", "pre", "post"])),
        norm_eps=draw(st.sampled_from([1e-5, 1e-6])),
        activation=draw(st.sampled_from(["swiglu", "gelu", "gelu_tanh", "relu"])),
        bias=bias,
        qkv_bias=not bias and draw(st.booleans()),
        tie_embeddings=draw(st.booleans()),
        qk_norm=draw(st.booleans()),
        embedding_norm=draw(st.booleans()),
        z_loss=draw(st.sampled_from([0.0, 1e-4])),
        init=draw(st.sampled_from(["zero_residual", "normal", "scaled"])),
        init_std=draw(st.sampled_from([0.02, 0.006])),
        pad_id=draw(st.sampled_from([0, 3])),
    ).validate()


def random_model(config: ModelConfig, seed: int = 0) -> CausalLM:
    """Every weight random, norms, biases and zero-initialised projections too, so that no term can hide."""
    generator = torch.Generator().manual_seed(seed)
    model = CausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            scale = weight.ndim == 1 and name.endswith(".weight")
            weight.normal_(float(scale), 0.2, generator=generator)
    return model.eval()


def random_tokens(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))
