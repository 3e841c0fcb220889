"""Defines the architecture of a decoder-only transformer as one validated dataclass.

It imports no torch, since the Snakefile validates with it before anything runs. llm/model/families.py knows which
Hugging Face family computes the same, and so what config.json looks like.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from llm.checks import only_known, positive_whole
from llm.errors import InputError
from llm.io.json import pretty
from llm.model import families, hf_config, rope_scaling
from llm.settings import hints_of, key

SIZES = ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "context_length")
SPECIAL_IDS = ("bos_id", "eos_id", "pad_id")
SWITCHES = ("bias", "qkv_bias", "tie_embeddings", "qk_norm", "embedding_norm")
POSITIVE = ("rope_theta", "norm_eps", "init_std")


@dataclass(frozen=True)
class ModelConfig:
    """Stage 4. The architecture: docs/pretrain.md. Sizes are in elements."""

    vocab_size: int
    d_model: int = key()
    """Width."""
    n_layers: int = key()
    """Blocks."""
    n_heads: int = key()
    """Query heads."""
    n_kv_heads: int = key(optional=True)
    """Key and value heads, n_heads unless said; fewer: grouped-query attention, 1: multi-query attention."""
    d_head: int = key(optional=True, shown=False)
    """Width of a head; d_model / n_heads unless said."""
    d_ff: int = key(optional=True)
    """Inner width of the feed-forward; 4 d_model unless said, for swiglu 8/3 d_model."""
    context_length: int = key()
    """Tokens."""
    position: Literal["rope", "alibi", "sinusoidal", "learned"] = key("rope", shown=False)
    """rope rotates queries and keys (Su et al. 2021), alibi biases scores by distance (Press et al. 2021), the others
    add to the embeddings."""
    rope_theta: float = key(10000.0, optional=True, shown=False, exclusiveMinimum=0)
    """rope: the base of its wavelengths; 10000 unless said."""
    rope_scaling: dict | None = key(None, optional=True, shown=False)
    """rope, stretched to a longer context as in Hugging Face: rope_type (linear, dynamic, yarn, llama3), factor, ..."""
    norm: Literal["rmsnorm", "layernorm"] = key("rmsnorm", shown=False)
    """RMSNorm or LayerNorm."""
    norm_order: Literal["pre", "post"] = key("pre", shown=False)
    """pre: x + f(norm(x)); post: norm(x + f(x)), the original Transformer's, with no norm at the end."""
    norm_eps: float = key(1e-5, shown=False, exclusiveMinimum=0)
    """Added to the mean square, or to the variance."""
    activation: Literal["swiglu", "gelu", "gelu_tanh", "relu"] = key("swiglu", shown=False)
    """swiglu is gated and has three matrices; gelu (exact), gelu_tanh (GPT-2's) and relu have two."""
    bias: bool = key(False, shown=False)
    """Of linear layers (the output layer has none) and of LayerNorms, as GPT-2 and BLOOM have."""
    qkv_bias: bool = key(False, shown=False)
    """Of queries, keys and values alone (Qwen2)."""
    tie_embeddings: bool = key(True, optional=True)
    """Is the output layer the embedding? true unless said."""
    qk_norm: bool = key(False, shown=False)
    """RMSNorm over each head's queries and keys (Qwen3)."""
    embedding_norm: bool = key(False, shown=False)
    """A norm after the embedding (BLOOM)."""
    z_loss: float = key(0.0, shown=False, minimum=0)
    """Coefficient of mean(logsumexp(logits)^2) in the training loss (PaLM)."""
    init: Literal["zero_residual", "normal", "scaled"] = key("zero_residual", shown=False)
    """Of what writes to the residual stream; scaled: 1/sqrt(2 n_layers)."""
    init_std: float = key(0.02, shown=False, exclusiveMinimum=0)
    """Standard deviation of the other weights at the start."""
    bos_id: int = 1
    eos_id: int = 2
    pad_id: int = 3

    def __post_init__(self) -> None:
        """Give equal values one form (10000 and 10000.0), so that equal configs have equal bytes and digests."""
        for name in (*POSITIVE, "z_loss"):
            value = getattr(self, name)
            if isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
        object.__setattr__(self, "rope_scaling", rope_scaling.canonical(self.rope_scaling))

    @classmethod
    def from_section(cls, section: dict, vocab_size: int, **special_ids: int) -> "ModelConfig":
        """Return the validated config of a yaml `model:` block, in which null means left out. Defaults: `n_kv_heads` is
        n_heads, `d_head` d_model / n_heads, `d_ff` 4 d_model; for swiglu 8/3 d_model rounded up to a multiple of 64,
        which keeps the number of parameters (Shazeer 2020)."""
        allowed = {field.name for field in dataclasses.fields(cls)} - {"vocab_size", *SPECIAL_IDS}
        only_known(section, sorted(allowed), "model")
        values = {name: value for name, value in section.items() if value is not None}
        for name in ("d_model", "n_layers", "n_heads", "context_length"):
            if name not in values:
                raise InputError(f"model.{name} is missing; add it to the config's model block")
        for name in ("d_model", "n_heads"):
            positive_whole(values[name], f"model.{name}")
        for name in ("rope_theta", "rope_scaling"):
            if name in values and values.get("position", "rope") != "rope":
                raise InputError(f"model.{name}: has no meaning with position: {values['position']}; delete it")
        d_model, n_heads = values["d_model"], values["n_heads"]
        if "d_head" not in values and d_model % n_heads:
            raise InputError(
                f"model.d_model: {d_model} is not divisible by model.n_heads: {n_heads}; "
                "change one of them, or state model.d_head"
            )
        values.setdefault("n_kv_heads", n_heads)
        values.setdefault("d_head", d_model // n_heads)
        gated = values.get("activation", "swiglu") == "swiglu"
        values.setdefault("d_ff", -(-8 * d_model // 192) * 64 if gated else 4 * d_model)
        return cls(vocab_size=vocab_size, **values | special_ids).validate()

    def validate(self) -> "ModelConfig":
        """Return itself. Raises InputError, one line that begins with the config key, for what cannot be built."""
        for name in SIZES:
            positive_whole(getattr(self, name), f"model.{name}")
        for name, hint in hints_of(ModelConfig).items():
            if get_origin(hint) is Literal and getattr(self, name) not in (choices := get_args(hint)):
                raise InputError(f"model.{name}: {getattr(self, name)!r} is not one of {', '.join(choices)}")
        for name in SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"model.{name}: {getattr(self, name)!r} is not true or false")
        for name in (*POSITIVE, "z_loss"):
            value = getattr(self, name)
            if not isinstance(value, float) or not 0 <= value < float("inf") or (value == 0 and name in POSITIVE):
                raise InputError(f"model.{name}: {value!r} is not a {'positive ' * (name in POSITIVE)}number")
        if self.n_heads % self.n_kv_heads:
            raise InputError(
                f"model.n_heads: {self.n_heads} is not divisible by model.n_kv_heads: {self.n_kv_heads}; "
                "every key-value head serves the same number of query heads"
            )
        if self.bias and self.qkv_bias:
            raise InputError("model.qkv_bias: true says nothing beside bias: true; delete it")
        self.check_positions()
        for name in SPECIAL_IDS:
            if not isinstance(getattr(self, name), int) or not 0 <= getattr(self, name) < self.vocab_size:
                raise InputError(
                    f"model.{name}: {getattr(self, name)!r} is outside the vocabulary of {self.vocab_size}"
                )
        return self

    def check_positions(self) -> None:
        if self.position == "rope" and self.d_head % 2:
            raise InputError(
                f"model.d_head: {self.d_head} is odd; RoPE rotates pairs, so choose d_model and n_heads "
                "(or d_head) that give an even number"
            )
        if self.position == "sinusoidal" and self.d_model % 2:
            raise InputError(f"model.d_model: {self.d_model} is odd; sinusoidal positions are pairs, make it even")
        if self.position != "rope" and (self.rope_scaling is not None or self.rope_theta != 10000.0):
            raise InputError(f"model.rope_theta, rope_scaling: no meaning with position: {self.position}; delete them")
        if self.rope_scaling is not None:
            rope_scaling.check(self.rope_scaling, self.context_length)
            if self.rope_scaling["rope_type"] == "dynamic" and self.d_head < 4:
                raise InputError(
                    f"model.d_head: {self.d_head} is too small for dynamic rope_scaling; make it 4 or more"
                )

    @property
    def family(self) -> str | None:
        """The Hugging Face family that computes the same, config.json's model_type; None if there is none."""
        return families.family_of(vars(self))

    def to_hf(self) -> dict:
        """Return config.json as a dict: of the Hugging Face family that computes the same, if there is one."""
        return hf_config.write(vars(self))

    @classmethod
    def from_hf(cls, config: dict) -> "ModelConfig":
        """Read config.json back. Raises InputError for what this repository's transformer would compute differently."""
        fields = hf_config.read(config)
        known = {field.name: field.default is dataclasses.MISSING for field in dataclasses.fields(cls)}
        for name in sorted(fields.keys() - known.keys()):
            raise InputError(f"config.json: {hf_config.OWN}.{name}: unknown key; write the file again")
        for name in sorted(name for name, needed in known.items() if needed and name not in fields):
            raise InputError(f"config.json: {hf_config.OWN}.{name} is missing; write the file again")
        return cls(**fields).validate()


def config_json(config: ModelConfig) -> str:
    """Return the text of config.json; equal configs give equal bytes."""
    return pretty(config.to_hf())


def digest(config: ModelConfig) -> str:
    """Return the sha256 of config.json's bytes, hexadecimal, by which a checkpoint knows its architecture."""
    return hashlib.sha256(config_json(config).encode()).hexdigest()


def check_target_modules(config: ModelConfig, target_modules: list[str]) -> None:
    """Raise InputError if the adapters of `align.lora` want a layer that the architecture does not have."""
    if "gate_proj" in target_modules and config.activation != "swiglu":
        raise InputError(
            f"align.lora.target_modules: model.activation: {config.activation} has no gate_proj; take it off the list"
        )


def has_beta(config: ModelConfig) -> bool:
    """Do the norms have a shift beside their scale (LayerNorm's beta)?"""
    return config.bias and config.norm == "layernorm"
