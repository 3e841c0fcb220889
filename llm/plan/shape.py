"""What the planner's formulas need to know of a decoder: sizes, and which of a few dozen variants it is.

Wider than ModelConfig: published models that this repository does not build (parallel blocks, biases in some layers
only, a padded vocabulary, relative positions) are described here too. Dense decoders only; no mixture of experts.
"""

from dataclasses import dataclass, fields

from llm.checks import only_known, positive_whole
from llm.errors import InputError
from llm.model.config import SIZES, ModelConfig


@dataclass(frozen=True)
class Shape:
    """Sizes in elements. `gated`: three feed-forward matrices (SwiGLU, GeGLU) instead of two.

    learned_positions: rows of a learned position table, 0 for rotary, ALiBi or sinusoidal positions.
    relative_positions: Transformer-XL's extra matrix, d_model x n_heads d_head in each layer (Gopher, Chinchilla).
    norms_per_layer: 2; 1 where attention and feed-forward run in parallel behind one norm (PaLM, GPT-J, Falcon-7B).
    norm_scale: norms have a learned scale (OLMo's have none). final_norm: one more behind the last layer.
    vocab_multiple: rows of the embedding are padded to a multiple (Megatron-LM: 128 x tensor ranks).
    dropout: its masks are kept for the backward pass (GPT-3, Megatron-LM; newer models have none).
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

    @classmethod
    def of(cls, config: ModelConfig, **overrides: int | bool) -> "Shape":
        """The shape of a ModelConfig; `overrides` (the config's `plan.shape`) say what no ModelConfig can."""
        only_known(overrides, sorted(field.name for field in fields(cls)), "plan.shape")
        values: dict[str, int | bool] = {size: getattr(config, size) for size in SIZES} | {
            "gated": config.activation == "swiglu",
            "tied": config.tie_embeddings,
            "learned_positions": config.context_length if config.position == "learned" else 0,
            "qkv_bias": config.bias,
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
        """GPT-2's, GPT-3's and Megatron-LM's shape: multi-head, d_ff = 4 d_model, biases, learned positions, tied."""
        values = {
            "n_kv_heads": n_heads,
            "d_head": d_model // n_heads,
            "d_ff": 4 * d_model,
            "learned_positions": context_length,
            **dict.fromkeys(("qkv_bias", "output_bias", "ffn_bias", "norm_bias"), True),
            "dropout": True,
        } | others
        sizes = {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads}
        return cls(vocab_size=vocab_size, context_length=context_length, **sizes, **values).validate()

    @classmethod
    def llama(cls, d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, d_ff: int, vocab_size: int, **others):
        """Llama's shape: SwiGLU, grouped-query attention, rotary positions, RMSNorm, no biases, not tied."""
        values = {"d_head": d_model // n_heads, "gated": True, "tied": False, "context_length": 4096} | others
        sizes = {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads, "n_kv_heads": n_kv_heads, "d_ff": d_ff}
        return cls(vocab_size=vocab_size, **sizes, **values).validate()

    def validate(self) -> "Shape":
        """Returns itself. Raises InputError for a size that is not positive, and for heads that do not share out."""
        for size in SIZES:
            positive_whole(getattr(self, size), f"plan.shape.{size}")
        for key, least in (("learned_positions", 0), ("norms_per_layer", 0), ("vocab_multiple", 1)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"plan.shape.{key}: {value!r} is not a whole number of {least} or more")
        if self.n_heads % self.n_kv_heads:
            raise InputError(f"plan.shape.n_heads: {self.n_heads} is not divisible by n_kv_heads: {self.n_kv_heads}")
        return self

    @property
    def padded_vocab(self) -> int:
        """Rows of the embedding."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple

    @property
    def d_attention(self) -> int:
        """Width of all query heads together."""
        return self.n_heads * self.d_head

    @property
    def d_kv(self) -> int:
        """Width of all key heads together; that of the value heads is the same."""
        return self.n_kv_heads * self.d_head
