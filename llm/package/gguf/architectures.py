"""Translates an architecture between ModelConfig and GGUF's metadata, by one table that serves both ways.

GGUF names keys `<architecture>.<key>`. Its "llama" is also Mistral's. What a key cannot say is refused both ways.
"""

from dataclasses import dataclass

from llm.errors import InputError
from llm.model.config import ModelConfig

SIZES = {
    "context_length": "context_length",
    "embedding_length": "d_model",
    "block_count": "n_layers",
    "feed_forward_length": "d_ff",
    "attention.head_count": "n_heads",
}
ROPE = SIZES | {
    "attention.head_count_kv": "n_kv_heads",
    "attention.key_length": "d_head",
    "attention.value_length": "d_head",
    "rope.dimension_count": "d_head",
    "rope.freq_base": "rope_theta",
    "attention.layer_norm_rms_epsilon": "norm_eps",
}
LAYERNORM = SIZES | {"attention.layer_norm_epsilon": "norm_eps"}
OPTIONAL = ("attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count",
            "rope.freq_base")  # fmt: skip
PLAIN: dict[str, object] = {"position": "rope", "norm": "rmsnorm", "activation": "swiglu"}
OLD: dict[str, object] = {"norm": "layernorm", "bias": True}


@dataclass(frozen=True)
class Architecture:
    """keys: GGUF's key -> field. fixed: fields that the architecture implies. stated: keys with one possible value."""

    keys: dict[str, str]
    fixed: dict[str, object]
    stated: dict[str, float]


ARCHITECTURES = {
    "llama": Architecture(ROPE, PLAIN, {}),
    "qwen2": Architecture(ROPE, PLAIN | {"qkv_bias": True}, {}),
    "qwen3": Architecture(ROPE, PLAIN | {"qk_norm": True}, {}),
    "gpt2": Architecture(LAYERNORM, OLD | {"position": "learned", "activation": "gelu_tanh"}, {}),
    "bloom": Architecture(
        LAYERNORM, OLD | {"position": "alibi", "activation": "gelu_tanh", "embedding_norm": True}, {}
    ),
    "mpt": Architecture(
        LAYERNORM,
        {"norm": "layernorm", "position": "alibi", "activation": "gelu"},
        {"attention.max_alibi_bias": 8.0},
    ),
}
FUSED = ("gpt2", "bloom", "mpt")  # query, key and value are one tensor
PERMUTED = ("llama",)  # the pairs that are rotated stand side by side
REFUSED = {  # keys that change what is computed -> the value that changes nothing
    "attention.clamp_kqv": 0.0,
    "expert_count": 0,
    "attention.causal": True,
}


def config_of(values: dict, tensors: set[str], vocab_size: int, special_ids: dict[str, int]) -> ModelConfig:
    """Return the architecture of a GGUF's metadata. tensors: the file's names, by which biases and tying are known.
    Raises InputError for an architecture or a key whose meaning this repository's transformer does not compute."""
    name = values.get("general.architecture")
    if name not in ARCHITECTURES:
        raise InputError(f"GGUF: architecture {name!r} is not supported, only {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[name]
    window = values.get(f"{name}.attention.sliding_window")
    for key, harmless in REFUSED.items():
        if values.get(f"{name}.{key}", harmless) != harmless:
            raise InputError(f"GGUF: {name}.{key} {values[f'{name}.{key}']!r} is not supported, only {harmless!r}")
    fields: dict = dict(architecture.fixed)
    for key, field in architecture.keys.items():
        value = values.get(f"{name}.{key}")
        if value is None and key not in OPTIONAL:
            raise InputError(f"GGUF: {name}.{key} is missing; the file is not complete")
        if value is None:
            continue
        if isinstance(value, list) or (field in fields and fields[field] != value):
            raise InputError(f"GGUF: {name}.{key} {value!r} is not one value for all layers; this is not supported")
        fields[field] = round(value, 12) if isinstance(value, float) else value
    fields.setdefault("n_kv_heads", fields["n_heads"])
    fields.setdefault("d_head", fields["d_model"] // max(fields["n_heads"], 1))
    if window:
        fields["context_length"] = min(fields["context_length"], window)
    if name == "llama" and "blk.0.attn_q.bias" in tensors:
        fields["bias" if "blk.0.attn_output.bias" in tensors else "qkv_bias"] = True
    if fields["position"] == "rope":
        fields["rope_scaling"] = read_scaling(values, name, tensors)
    fields["norm_eps"] = float(f"{fields['norm_eps']:.6g}")  # fp32 in the file
    tied = "output.weight" not in tensors
    fields |= {"vocab_size": vocab_size, "tie_embeddings": tied} | special_ids
    return ModelConfig(**fields).validate()


def read_scaling(values: dict, name: str, tensors: set[str]) -> dict | None:
    """Return rope_scaling."""
    if "rope_freqs.weight" in tensors:
        raise InputError(
            "GGUF: rope_freqs.weight holds scaled frequencies, from which Llama 3's keys cannot be told; "
            "import the model's Hugging Face directory instead"
        )
    kind = values.get(f"{name}.rope.scaling.type", "none")
    if kind == "none":
        return None
    scaling = {"rope_type": kind, "factor": values.get(f"{name}.rope.scaling.factor", 1.0)}
    if kind == "yarn":
        scaling["original_max_position_embeddings"] = values.get(f"{name}.rope.scaling.original_context_length")
    return scaling
