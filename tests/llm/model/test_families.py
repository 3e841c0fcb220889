"""config.json of every family: the way there and back, for any architecture, and what is refused on the way back."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from transformers import AutoConfig

from llm.errors import InputError
from llm.model.config import ModelConfig, config_json, digest
from llm.model.families import FAMILIES, described
from tests.llm.model.architectures import (
    ALL,
    BLOOM,
    GPT2,
    IN_A_FAMILY,
    IN_NONE,
    LLAMA,
    MPT,
    ORIGINAL,
    QWEN3,
    configs,
    rope,
)


@settings(max_examples=300, deadline=None)
@given(config=configs())
def test_reading_back_gives_the_same_architecture(config: ModelConfig) -> None:
    written = json.loads(config_json(config))
    assert ModelConfig.from_hf(written) == config
    assert ModelConfig.from_hf(written | {"x_note": "kept"}) == config
    assert digest(ModelConfig.from_hf(written)) == digest(config)
    assert written["model_type"] == (config.family or "stemma")


@settings(max_examples=100, deadline=None)
@given(one=configs(), other=configs())
def test_digests_tell_architectures_apart(one: ModelConfig, other: ModelConfig) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@pytest.mark.parametrize("name", ALL)
def test_the_family_is_the_one_expected(name: str) -> None:
    config = ALL[name]
    assert config.family == (name.split(",")[0] if name in IN_A_FAMILY else None)
    line = described(vars(config))
    assert "\n" not in line
    assert (line in FAMILIES) is (name in IN_A_FAMILY)


def test_the_default_config_json_keeps_its_bytes() -> None:
    text = config_json(ModelConfig(4096, 128, 4, 2, 1, 64, 384, 128))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "b6def75f36e69e62a8699ea3edb68ac2e31b8551dc07a4c831f2ca9af1d121cb"
    )


def test_equal_numbers_have_equal_bytes() -> None:
    scaling = {"type": "linear", "factor": 2, "beta_fast": None}
    assert digest(rope(rope_theta=5000, rope_scaling=scaling)) == digest(
        rope(rope_theta=5000.0, rope_scaling={"rope_type": "linear", "factor": 2.0})
    )
    assert rope(rope_scaling={"rope_type": "default"}) == LLAMA


def test_why_no_family_is_told() -> None:
    line = described(vars(ORIGINAL))
    assert "nearest is gpt2" in line
    assert "norm_order: post, position: sinusoidal" in line
    assert ORIGINAL.to_hf()["architectures"] == ["StemmaCausalLM"]
    assert "d_head" not in described(vars(rope(d_model=49)))  # LlamaConfig wants d_model to be a multiple of n_heads
    assert rope(d_model=49).family is None


@pytest.mark.parametrize(
    ("config", "change", "words"),
    [
        (LLAMA, {"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported, only 'silu'"),
        (LLAMA, {"mlp_bias": True}, "mlp_bias True"),
        (LLAMA, {"rope_parameters": {"rope_type": "longrope", "factor": 2.0}}, "'longrope' is no rope_type"),
        (LLAMA, {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor 0.5"),
        (LLAMA, {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0}}, "model.rope_scaling"),
        (LLAMA, {"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5"),
        (LLAMA, {"stemma": {"position": "alibi"}}, "stemma.position: llama has this elsewhere"),
        (QWEN3, {"attention_bias": True}, "attention_bias True"),
        (QWEN3, {"use_sliding_window": True}, "use_sliding_window True"),
        (GPT2, {"activation_function": "silu"}, "activation_function 'silu'"),
        (GPT2, {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        (GPT2, {"scale_attn_weights": False}, "scale_attn_weights False"),
        (GPT2, {"n_head": None}, "n_head None is not"),
        (BLOOM, {"apply_residual_connection_post_layernorm": True}, "apply_residual_connection_post_layernorm True"),
        (MPT, {"attn_config": {"alibi": False}}, "attn_config.alibi False"),
        (MPT, {"attn_config": {"alibi": True, "clip_qkv": 6.0}}, "attn_config.clip_qkv 6.0"),
        (MPT, {"attn_config": {"alibi": True, "softmax_scale": 0.5}}, "attn_config.softmax_scale 0.5"),
        (MPT, {"no_bias": False}, "no_bias False"),
        (MPT, {"logit_scale": "inv_sqrt_d_model"}, "logit_scale"),
        (ORIGINAL, {"stemma": {"d_model": 8}}, "stemma.context_length is missing"),
        (ORIGINAL, {"stemma": ORIGINAL.to_hf()["stemma"] | {"dropout": 0.1}}, "stemma.dropout: unknown key"),
        (ORIGINAL, {"pad_token_id": None}, "model.pad_id: None is outside the vocabulary"),
        (LLAMA, {"bos_token_id": 97}, "model.bos_id: 97 is outside the vocabulary of 97"),
        (LLAMA, {"model_type": "mamba"}, "model_type 'mamba' is not supported"),
    ],
)
def test_what_would_be_computed_differently_is_refused(config: ModelConfig, change: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        ModelConfig.from_hf(config.to_hf() | change)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_published_configs_are_read() -> None:
    """The essential keys of the published files, in the style of their time."""
    gpt2 = ModelConfig.from_hf(
        {"model_type": "gpt2", "activation_function": "gelu_new", "attn_pdrop": 0.1, "bos_token_id": 50256,
         "eos_token_id": 50256, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
         "vocab_size": 50257, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05}
    )  # fmt: skip
    assert (gpt2.d_ff, gpt2.activation, gpt2.pad_id, gpt2.tie_embeddings) == (3072, "gelu_tanh", 50256, True)
    bloom = ModelConfig.from_hf(
        {"model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16, "vocab_size": 250880,
         "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "seq_length": 2048, "masked_softmax_fusion": True}
    )  # fmt: skip
    assert (bloom.d_model, bloom.n_heads, bloom.embedding_norm, bloom.d_ff) == (1024, 16, True, 4096)
    mpt = ModelConfig.from_hf(
        {"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "max_seq_len": 2048, "vocab_size": 50432,
         "expansion_ratio": 4, "no_bias": True, "learned_pos_emb": True, "norm_type": "low_precision_layernorm",
         "attn_config": {"alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0, "clip_qkv": None,
                         "attn_type": "multihead_attention", "prefix_lm": False, "qk_ln": False}}
    )  # fmt: skip
    assert (mpt.position, mpt.bias, mpt.d_head) == ("alibi", False, 128)
    llama31 = ModelConfig.from_hf(
        {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
         "num_hidden_layers": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072, "vocab_size": 128256,
         "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": [128001, 128008],
         "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 8192, "rope_type": "llama3"}}
    )  # fmt: skip
    assert (llama31.rope_scaling["factor"], llama31.rope_theta, llama31.eos_id) == (8.0, 500000.0, 128001)
    assert ModelConfig.from_hf(llama31.to_hf()) == llama31


def test_a_mistral_is_read_as_the_llama_that_computes_the_same() -> None:
    """Mistral 7B's published files: v0.1 sees 4,096 tokens of its 32,768, v0.3 sees all."""
    first = {"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
             "num_hidden_layers": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768, "vocab_size": 32000,
             "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "hidden_act": "silu"}  # fmt: skip
    read = ModelConfig.from_hf(first)
    assert (read.family, read.context_length, read.n_kv_heads) == ("llama", 4096, 8)
    assert ModelConfig.from_hf(first | {"sliding_window": None}).context_length == 32768


def test_a_qwen2_is_read() -> None:
    """The published config.json of Qwen2.5-0.5B, which states no head_dim."""
    read = ModelConfig.from_hf(
        {"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14,
         "num_hidden_layers": 24, "num_key_value_heads": 2, "max_position_embeddings": 32768, "max_window_layers": 24,
         "sliding_window": 32768, "use_sliding_window": False, "vocab_size": 151936, "tie_word_embeddings": True,
         "rms_norm_eps": 1e-06, "rope_theta": 1e6, "hidden_act": "silu", "bos_token_id": 151643,
         "eos_token_id": 151643}
    )  # fmt: skip
    assert (read.family, read.qkv_bias, read.bias, read.d_head) == ("qwen2", True, False, 64)
    assert "head_dim" not in read.to_hf()


@pytest.mark.parametrize("name", IN_NONE)
def test_transformers_refuses_what_it_cannot_compute(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config_json(IN_NONE[name]))
    with pytest.raises(ValueError, match="model type `stemma`"):
        AutoConfig.from_pretrained(tmp_path)
