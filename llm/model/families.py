"""Tells which Hugging Face family computes the same as an architecture, and how a config.json of it looks, by a table.

    llama  rope, rmsnorm, swiglu        gpt2  learned, layernorm, bias          bloom  alibi, layernorm, bias, 4 d
    qwen2  the same with qkv_bias       mpt   alibi, layernorm, gelu, no bias, 4 d
    qwen3  the same with qk_norm

Mistral's is Llama's under another name, once its window is the whole context: it is read (llm/model/hf_config.py), and
written as Llama.

It works on plain dicts (ModelConfig's fields); llm/model/hf_config.py reads and writes config.json by it, and
llm/model/tensor_names.py has the families' tensors. It imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Hugging Face's names of the activations without a gate; the first is the one that is written.
ACTIVATIONS = {"gelu": ("gelu",), "gelu_tanh": ("gelu_new", "gelu_pytorch_tanh"), "relu": ("relu",)}


@dataclass(frozen=True)
class Family:
    """One family. architecture: the class in transformers. computes: field -> the values that it can have.
    names: field -> key of config.json. defaults: key -> its value where config.json leaves it out.
    written: what else config.json says. needed: keys (dotted where nested) that change what is computed -> the value
    that this repository computes, which is also the family's default."""

    architecture: str
    computes: dict[str, tuple]
    names: dict[str, str]
    defaults: Mapping[str, object]
    written: dict[str, object]
    needed: dict[str, object]
    aliases: dict[str, str] = field(default_factory=dict)


ROPE = {"position": ("rope",), "norm": ("rmsnorm",), "norm_order": ("pre",), "activation": ("swiglu",)}
LAYERNORM = {"norm": ("layernorm",), "norm_order": ("pre",), "qkv_bias": (False,), "qk_norm": (False,)}
SPECIAL_NAMES = {"bos_id": "bos_token_id", "eos_id": "eos_token_id", "pad_id": "pad_token_id"}
COMMON_NAMES = SPECIAL_NAMES | {
    "vocab_size": "vocab_size",
    "tie_embeddings": "tie_word_embeddings",
    "init_std": "initializer_range",
}
ROPE_NAMES = COMMON_NAMES | {
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "d_head": "head_dim",
    "d_ff": "intermediate_size",
    "context_length": "max_position_embeddings",
    "norm_eps": "rms_norm_eps",
}
ROPE_DEFAULTS = {"rms_norm_eps": 1e-6, "tie_word_embeddings": False, "initializer_range": 0.02}
LAYERNORM_DEFAULTS = {"layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "initializer_range": 0.02}

FAMILIES = {
    "llama": Family(
        "LlamaForCausalLM",
        ROPE | {"bias": (False, True), "qkv_bias": (False,), "qk_norm": (False,), "embedding_norm": (False,)},
        ROPE_NAMES | {"bias": "attention_bias"},
        ROPE_DEFAULTS | {"attention_bias": False},
        {"attention_dropout": 0.0, "hidden_act": "silu", "use_cache": True},
        {"hidden_act": "silu"},
    ),
    "qwen2": Family(
        "Qwen2ForCausalLM",
        ROPE | {"bias": (False,), "qkv_bias": (True,), "qk_norm": (False,), "embedding_norm": (False,)},
        {field: key for field, key in ROPE_NAMES.items() if field != "d_head"},
        ROPE_DEFAULTS,
        {"attention_dropout": 0.0, "hidden_act": "silu", "use_cache": True, "use_sliding_window": False},
        {"hidden_act": "silu", "use_sliding_window": False},
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM",
        ROPE | {"bias": (False,), "qkv_bias": (False,), "qk_norm": (True,), "embedding_norm": (False,)},
        ROPE_NAMES,
        ROPE_DEFAULTS | {"head_dim": 128},
        {"attention_bias": False, "attention_dropout": 0.0, "hidden_act": "silu", "use_cache": True},
        {"attention_bias": False, "hidden_act": "silu", "use_sliding_window": False},
    ),
    "gpt2": Family(
        "GPT2LMHeadModel",
        LAYERNORM
        | {"position": ("learned",), "activation": tuple(ACTIVATIONS), "bias": (True,), "embedding_norm": (False,)},
        COMMON_NAMES
        | {
            "d_model": "n_embd",
            "n_layers": "n_layer",
            "n_heads": "n_head",
            "d_ff": "n_inner",
            "context_length": "n_positions",
            "norm_eps": "layer_norm_epsilon",
        },
        LAYERNORM_DEFAULTS,
        {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "use_cache": True},
        {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
    ),
    "bloom": Family(
        "BloomForCausalLM",
        LAYERNORM | {"position": ("alibi",), "activation": ("gelu_tanh",), "bias": (True,), "embedding_norm": (True,)},
        COMMON_NAMES
        | {
            "d_model": "hidden_size",
            "n_layers": "n_layer",
            "n_heads": "n_head",
            "context_length": "seq_length",
            "norm_eps": "layer_norm_epsilon",
        },
        LAYERNORM_DEFAULTS | {"seq_length": 2048},
        {"attention_dropout": 0.0, "hidden_dropout": 0.0, "use_cache": True},
        {"apply_residual_connection_post_layernorm": False},
        {"n_embed": "hidden_size", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"},
    ),
    "mpt": Family(
        "MptForCausalLM",
        LAYERNORM | {"position": ("alibi",), "activation": ("gelu",), "bias": (False,), "embedding_norm": (False,)},
        COMMON_NAMES
        | {
            "d_model": "d_model",
            "n_layers": "n_layers",
            "n_heads": "n_heads",
            "context_length": "max_seq_len",
            "norm_eps": "layer_norm_epsilon",
        },
        LAYERNORM_DEFAULTS | {"max_seq_len": 2048},
        {
            "attn_config": {"alibi": True, "alibi_bias_max": 8, "attn_pdrop": 0, "attn_type": "multihead_attention"},
            "expansion_ratio": 4,
            "learned_pos_emb": False,
            "no_bias": True,
            "use_cache": True,
        },
        {
            "attn_config.alibi": True,
            "attn_config.alibi_bias_max": 8,
            "attn_config.attn_type": "multihead_attention",
            "attn_config.clip_qkv": None,
            "attn_config.prefix_lm": False,
            "attn_config.qk_ln": False,
            "attn_config.softmax_scale": None,
            "expansion_ratio": 4,
            "logit_scale": None,
            "no_bias": True,
        },
    ),
}


def family_of(fields: dict) -> str | None:
    """Return the family that computes the same; None if there is none."""
    return next((name for name in FAMILIES if not differences(fields, name)), None)


def differences(fields: dict, name: str) -> list[str]:
    """Return which parts of an architecture the family does not compute, as "key: value"."""
    family = FAMILIES[name]
    keys = [key for key, values in family.computes.items() if fields[key] not in values]
    d_model, n_heads = fields["d_model"], fields["n_heads"]
    if "n_kv_heads" not in family.names and fields["n_kv_heads"] != n_heads:
        keys.append("n_kv_heads")
    if "d_head" not in family.names and fields["d_head"] * n_heads != d_model:
        keys.append("d_head")
    if "d_ff" not in family.names and fields["d_ff"] != 4 * d_model:
        keys.append("d_ff")
    if name in ("llama", "qwen2") and d_model % n_heads:  # LlamaConfig refuses this, whatever head_dim is
        keys.append("d_model")
    return [f"{key}: {fields[key]}" for key in keys]


def described(fields: dict) -> str:
    """Return, for people, the family's name or why there is none, in one line."""
    nearest = min(FAMILIES, key=lambda name: len(differences(fields, name)))
    rest = differences(fields, nearest)
    if not rest:
        return nearest
    return f"none; the nearest is {nearest}, but for {', '.join(rest)}: transformers cannot load this model"
