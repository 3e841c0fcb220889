"""The architecture of a decoder-only transformer as one validated dataclass, and as a Hugging Face `config.json`.

The family is Llama's (RoPE, RMSNorm, SwiGLU, grouped-query attention), so config.json is a LlamaConfig that other tools
load unchanged. Imports no torch: the Snakefile validates with it before anything runs. Builds no weights.
"""

import dataclasses
from dataclasses import dataclass

from llm.errors import InputError

# Architectures that this repository's transformer reproduces. Anything else in a config.json is refused, not guessed.
HF_ARCHITECTURE = "LlamaForCausalLM"


@dataclass(frozen=True)
class ModelConfig:
    """Sizes in elements, `context_length` in tokens. Field names are the keys of the config's `model:` block."""

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_ff: int
    context_length: int
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    tie_embeddings: bool = True
    bos_id: int = 1
    eos_id: int = 2
    pad_id: int = 3

    @classmethod
    def from_section(cls, section: dict, vocab_size: int, **special_ids: int) -> "ModelConfig":
        """The validated config of a yaml `model:` block. `d_head` and `d_ff` may be left out or null:
        d_model / n_heads, and 8/3 d_model rounded up to a multiple of 64 (Shazeer 2020 keeps SwiGLU's size equal)."""
        allowed = {field.name for field in dataclasses.fields(cls)} - {"vocab_size", "bos_id", "eos_id", "pad_id"}
        for key in section:
            if key not in allowed:
                raise InputError(f"model.{key}: unknown key; known are {', '.join(sorted(allowed))}")
        for key in ("d_model", "n_layers", "n_heads", "context_length"):
            if key not in section:
                raise InputError(f"model.{key} is missing; add it to the config's model block")
        for key in ("d_model", "n_heads"):
            require_positive_int(key, section[key])
        values = {key: value for key, value in section.items() if value is not None}
        d_model, n_heads = values["d_model"], values["n_heads"]
        if "d_head" not in values and d_model % n_heads:
            raise InputError(
                f"model.d_model: {d_model} is not divisible by model.n_heads: {n_heads}; "
                "change one of them, or state model.d_head"
            )
        values.setdefault("n_kv_heads", n_heads)
        values.setdefault("d_head", d_model // n_heads)
        values.setdefault("d_ff", -(-8 * d_model // 192) * 64)
        return cls(vocab_size=vocab_size, **values, **special_ids).validate()

    def validate(self) -> "ModelConfig":
        """Returns itself. Raises InputError, one line that begins with the config key, for what cannot be built."""
        for key in ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "context_length"):
            require_positive_int(key, getattr(self, key))
        for key in ("rope_theta", "norm_eps"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InputError(f"model.{key}: {value!r} is not a positive number")
        if not isinstance(self.tie_embeddings, bool):
            raise InputError(f"model.tie_embeddings: {self.tie_embeddings!r} is not true or false")
        if self.n_heads % self.n_kv_heads:
            raise InputError(
                f"model.n_heads: {self.n_heads} is not divisible by model.n_kv_heads: {self.n_kv_heads}; "
                "every key-value head serves the same number of query heads"
            )
        if self.d_head % 2:
            raise InputError(
                f"model.d_head: {self.d_head} is odd; RoPE rotates pairs, so choose d_model and n_heads "
                "(or d_head) that give an even number"
            )
        for key in ("bos_id", "eos_id", "pad_id"):
            if not 0 <= getattr(self, key) < self.vocab_size:
                raise InputError(f"model.{key}: {getattr(self, key)} is outside the vocabulary of {self.vocab_size}")
        return self

    def to_hf(self) -> dict:
        """The LlamaConfig dict. RoPE stands twice: transformers 5 reads rope_parameters, others rope_theta."""
        return {
            "architectures": [HF_ARCHITECTURE],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": self.bos_id,
            "dtype": "float32",
            "eos_token_id": self.eos_id,
            "head_dim": self.d_head,
            "hidden_act": "silu",
            "hidden_size": self.d_model,
            "initializer_range": 0.02,
            "intermediate_size": self.d_ff,
            "max_position_embeddings": self.context_length,
            "mlp_bias": False,
            "model_type": "llama",
            "num_attention_heads": self.n_heads,
            "num_hidden_layers": self.n_layers,
            "num_key_value_heads": self.n_kv_heads,
            "pad_token_id": self.pad_id,
            "rms_norm_eps": self.norm_eps,
            "rope_parameters": {"rope_theta": self.rope_theta, "rope_type": "default"},
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_embeddings,
            "use_cache": True,
            "vocab_size": self.vocab_size,
        }

    @classmethod
    def from_hf(cls, config: dict) -> "ModelConfig":
        """Reads a LlamaConfig, old or new style. InputError for what this transformer would compute differently."""
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        refuse_unless("model_type", config.get("model_type"), "llama")
        refuse_unless("hidden_act", config.get("hidden_act", "silu"), "silu")
        refuse_unless("attention_bias", config.get("attention_bias", False), False)
        refuse_unless("mlp_bias", config.get("mlp_bias", False), False)
        refuse_unless("rope_type", rope.get("rope_type", rope.get("type", "default")), "default")
        try:
            d_model, n_heads = config["hidden_size"], config["num_attention_heads"]
            return cls(
                vocab_size=config["vocab_size"],
                d_model=d_model,
                n_layers=config["num_hidden_layers"],
                n_heads=n_heads,
                n_kv_heads=config.get("num_key_value_heads") or n_heads,
                d_head=config.get("head_dim") or d_model // n_heads,
                d_ff=config["intermediate_size"],
                context_length=config["max_position_embeddings"],
                rope_theta=rope.get("rope_theta", config.get("rope_theta", 10000.0)),
                norm_eps=config.get("rms_norm_eps", 1e-6),
                tie_embeddings=config.get("tie_word_embeddings", False),
                bos_id=first_id(config.get("bos_token_id"), 1),
                eos_id=first_id(config.get("eos_token_id"), 2),
                pad_id=first_id(config.get("pad_token_id"), first_id(config.get("eos_token_id"), 2)),
            ).validate()
        except KeyError as error:
            raise InputError(f"config.json lacks {error}; it is not a complete LlamaConfig") from error


def parameter_counts(config: ModelConfig) -> dict[str, int]:
    """Parameters by block, from the formulas: V d; 2 d H d_h + 2 d K d_h; 3 d d_ff; (2 L + 1) d; V d if untied."""
    attention = 2 * config.d_model * config.d_head * (config.n_heads + config.n_kv_heads)
    counts = {
        "embedding": config.vocab_size * config.d_model,
        "attention": config.n_layers * attention,
        "feed_forward": config.n_layers * 3 * config.d_model * config.d_ff,
        "norms": (2 * config.n_layers + 1) * config.d_model,
        "output": 0 if config.tie_embeddings else config.vocab_size * config.d_model,
    }
    return counts | {"total": sum(counts.values())}


def require_positive_int(key: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InputError(f"model.{key}: {value!r} is not a positive whole number")


def refuse_unless(key: str, value: object, supported: object) -> None:
    if value != supported:
        raise InputError(f"config.json: {key} {value!r} is not supported, only {supported!r}; convert the model first")


def first_id(value: int | list[int] | None, default: int) -> int:
    """Llama 3 lists several end-of-sequence ids; the first is the one that ends a document."""
    if value is None:
        return default
    return value[0] if isinstance(value, list) else value
