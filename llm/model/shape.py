"""Describes a decoder for the formulas: its sizes, and which of a few dozen variants it is.

Wider than ModelConfig: published models that this repository does not train (mixtures of experts, latent attention,
sliding windows, parallel blocks, biases in some layers only) are described here too, to be counted and planned.
"""

from dataclasses import dataclass, fields
from typing import Any

from llm.checks import only_known, positive_whole
from llm.errors import InputError
from llm.model.config import SIZES, ModelConfig

COUNTS = (
    "learned_positions",
    "norms_per_layer",
    "experts",
    "experts_per_token",
    "d_expert",
    "shared_experts",
    "dense_layers",
    "kv_rank",
    "q_rank",
    "d_rope",
    "d_value",
    "window",
    "full_every",
    "windowed_layers",
)


@dataclass(frozen=True)
class Shape:
    """Sizes in elements. `gated`: three feed-forward matrices (SwiGLU, GeGLU) instead of two.

    learned_positions: rows of a learned position table, 0 for rotary, ALiBi or sinusoidal positions.
    relative_positions: Transformer-XL's extra matrix, d_model x n_heads d_head in each layer (Gopher, Chinchilla).
    norms_per_layer: 2; 1 where attention and feed-forward run in parallel behind one norm (PaLM, GPT-J, Falcon-7B); 4
    where their outputs are normed too (Gemma 2 and 3, Grok-1).
    norm_scale: norms have a learned scale (OLMo's have none). final_norm: one more behind the last layer.
    vocab_multiple: rows of the embedding are padded to a multiple (Megatron-LM: 128 x tensor ranks).
    dropout: its masks are kept for the backward pass (GPT-3, Megatron-LM; newer models have none).
    experts: of a mixture layer, 0: none; each is d_expert wide (0: d_ff), experts_per_token of them compute a token,
    shared_experts of the same width compute every token (DeepSeekMoE). dense_layers: layers that have one feed-forward
    of d_ff in place of experts. router_bias: one value an expert. shared_gate: d_model weights scale what is shared.
    kv_rank: latent attention (DeepSeek-V2): what is cached of keys and values for all heads, beside d_rope values that
    carry the position; heads have d_head + d_rope values of query and key. q_rank: the queries' latent, 0: none.
    d_value: of a head's value where it is not d_head (0).
    window: tokens that a windowed layer sees; 0: no windows. full_every: each such layer sees all (Gemma 3: 6, Gemma 2
    and gpt-oss: 2); 0: none does. windowed_layers: how many have the window, where full_every does not say it.
    sinks: a learned logit for each head (gpt-oss).
    """

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_ff: int
    context_length: int
    gated: bool = False
    tied: bool = True
    learned_positions: int = 0
    relative_positions: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    ffn_bias: bool = False
    norm_bias: bool = False
    head_bias: bool = False
    norms_per_layer: int = 2
    norm_scale: bool = True
    final_norm: bool = True
    qk_norm: bool = False
    embedding_norm: bool = False
    vocab_multiple: int = 1
    dropout: bool = False
    experts: int = 0
    experts_per_token: int = 0
    d_expert: int = 0
    shared_experts: int = 0
    dense_layers: int = 0
    router_bias: bool = False
    shared_gate: bool = False
    kv_rank: int = 0
    q_rank: int = 0
    d_rope: int = 0
    d_value: int = 0
    window: int = 0
    full_every: int = 0
    windowed_layers: int = 0
    sinks: bool = False

    @classmethod
    def of(cls, config: ModelConfig, **overrides: int | bool) -> "Shape":
        """Return the shape of a ModelConfig; `overrides` (the config's `plan.shape`) say what no ModelConfig can."""
        only_known(overrides, sorted(field.name for field in fields(cls)), "plan.shape")
        values: dict[str, Any] = {size: getattr(config, size) for size in SIZES} | {
            "gated": config.activation == "swiglu",
            "tied": config.tie_embeddings,
            "learned_positions": config.context_length if config.position == "learned" else 0,
            "qkv_bias": config.bias or config.qkv_bias,
            "output_bias": config.bias,
            "ffn_bias": config.bias,
            "norm_bias": config.bias and config.norm == "layernorm",
            "final_norm": config.norm_order == "pre",
            "qk_norm": config.qk_norm,
            "embedding_norm": config.embedding_norm,
        }
        return cls(**(values | overrides)).validate()

    @classmethod
    def gpt(cls, d_model: int, n_layers: int, n_heads: int, vocab_size: int, context_length: int, **others) -> "Shape":
        """Make a shape like GPT-2's, GPT-3's and Megatron-LM's: multi-head, d_ff = 4 d_model, biases, learned
        positions, tied."""
        values: dict[str, Any] = {
            "n_kv_heads": n_heads,
            "d_head": d_model // n_heads,
            "d_ff": 4 * d_model,
            "learned_positions": context_length,
            **dict.fromkeys(("qkv_bias", "output_bias", "ffn_bias", "norm_bias"), True),
            "dropout": True,
        } | others
        sizes: dict[str, Any] = {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads}
        return cls(vocab_size=vocab_size, context_length=context_length, **sizes, **values).validate()

    @classmethod
    def llama(cls, d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, d_ff: int, vocab_size: int, **others):
        """Make a shape like Llama's: SwiGLU, grouped-query attention, rotary positions, RMSNorm, no biases, not
        tied."""
        values: dict[str, Any] = {
            "d_head": d_model // n_heads,
            "gated": True,
            "tied": False,
            "context_length": 4096,
        } | others
        sizes: dict[str, Any] = {
            "d_model": d_model,
            "n_layers": n_layers,
            "n_heads": n_heads,
            "n_kv_heads": n_kv_heads,
            "d_ff": d_ff,
        }
        return cls(vocab_size=vocab_size, **sizes, **values).validate()

    def validate(self) -> "Shape":
        """Return itself. Raises InputError for a size that is no such number, and for parts that contradict each
        other."""
        for size in SIZES:
            positive_whole(getattr(self, size), f"plan.shape.{size}")
        for key, least in (*((key, 0) for key in COUNTS), ("vocab_multiple", 1)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"plan.shape.{key}: {value!r} is not a whole number of {least} or more")
        for field in fields(self):
            if field.type in (bool, "bool") and not isinstance(getattr(self, field.name), bool):
                raise InputError(f"plan.shape.{field.name}: {getattr(self, field.name)!r} is not true or false")
        if self.n_heads % self.n_kv_heads:
            raise InputError(f"plan.shape.n_heads: {self.n_heads} is not divisible by n_kv_heads: {self.n_kv_heads}")
        self.check_parts()
        return self

    def check_parts(self) -> None:
        """Raise InputError for keys of a part that the shape does not have, or has in an impossible number."""
        if self.experts and not 0 < self.experts_per_token <= self.experts:
            raise InputError(f"plan.shape.experts_per_token: {self.experts_per_token} is not 1 to {self.experts}")
        owners = {
            "experts": (
                "experts_per_token",
                "d_expert",
                "shared_experts",
                "dense_layers",
                "router_bias",
                "shared_gate",
            ),
            "kv_rank": ("q_rank", "d_rope"),
            "window": ("full_every", "windowed_layers"),
        }
        for owner, keys in owners.items():
            for key in keys:
                if getattr(self, key) and not getattr(self, owner):
                    raise InputError(f"plan.shape.{key}: says nothing without {owner}; state it too, or delete this")
        for key in ("dense_layers", "windowed_layers"):
            if getattr(self, key) > self.n_layers:
                raise InputError(f"plan.shape.{key}: {getattr(self, key)} is more than the {self.n_layers} layers")
        if self.full_every and self.windowed_layers:
            raise InputError("plan.shape: full_every and windowed_layers state the same thing; leave one out")

    @property
    def padded_vocab(self) -> int:
        """The rows of the embedding."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple

    @property
    def d_key(self) -> int:
        """The size of one head's query and key."""
        return self.d_head + self.d_rope

    @property
    def head_value(self) -> int:
        """The size of one head's value."""
        return self.d_value or self.d_head

    @property
    def expert_width(self) -> int:
        return self.d_expert or self.d_ff

    @property
    def mixture_layers(self) -> int:
        """The number of layers that have experts."""
        return self.n_layers - self.dense_layers if self.experts else 0

    @property
    def window_layers(self) -> int:
        """The number of layers that see only a window."""
        if not self.window:
            return 0
        return self.windowed_layers or self.n_layers - (self.n_layers // self.full_every if self.full_every else 0)
