"""Counts parameters, matrix products and cached values of a decoder from its shape; nothing else in llm/ does.

Biases count with their matrix. Blocks as in Vaswani et al. 2017 (whose 4 d^2 and 2 d d_ff hold for multi-head attention
and d_ff = 4 d_model), with the third matrix of a gated feed-forward (Shazeer 2020), grouped keys and values (Ainslie et
al. 2023), shared experts and latents (DeepSeek-AI 2024, arXiv:2405.04434). Imports no torch.
"""

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.shape import Shape

EMBEDDINGS = ("embedding", "positions", "lm_head")
ATTENTION = ("full", "causal", "none")


def parameters(shape: Shape) -> dict[str, int]:
    """Return block -> parameters, all layers together. A tied lm_head counts 0: it is the embedding."""
    d, layers = shape.d_model, shape.n_layers
    norm = norm_size(shape)
    dense, mixtures = layers - shape.mixture_layers, shape.mixture_layers
    counts = {
        "embedding": shape.padded_vocab * d,
        "positions": shape.learned_positions * d,
        "embedding_norm": norm * shape.embedding_norm,
        **{block: layers * size for block, size in attention_layer(shape).items()},
        "relative": layers * d * shape.n_heads * shape.d_head * shape.relative_positions,
        **{block: dense * size for block, size in feed_forward(shape, shape.d_ff).items()},
        "experts": mixtures * shape.experts * expert(shape),
        "shared_experts": mixtures * (shape.shared_experts * expert(shape) + d * shape.shared_gate),
        "router": mixtures * shape.experts * (d + shape.router_bias),
        "norms": layers * shape.norms_per_layer * norm + norm * shape.final_norm,
        "qk_norm": layers * 2 * shape.d_head * shape.qk_norm,
        "lm_head": 0 if shape.tied else shape.padded_vocab * d,
        "head_bias": shape.padded_vocab * shape.head_bias,
    }
    return {block: int(count) for block, count in counts.items()}


def attention_layer(shape: Shape) -> dict[str, int]:
    """Return the parameters of one layer's queries, keys, values and output, biases included.

    With latent attention `query` may have a latent of its own; `key` is what makes the latent and the part that carries
    the position, `value` what makes keys and values of the latent; norms of latents are included.
    """
    d, heads, kv, bias = shape.d_model, shape.n_heads, shape.n_kv_heads, shape.qkv_bias
    wide, value = heads * shape.d_key, shape.head_value
    counts = {"output": heads * value * d + d * shape.output_bias, "sinks": heads * shape.sinks}
    if not shape.kv_rank:
        key = kv * shape.d_key
        counts |= {"query": (d + bias) * wide, "key": (d + bias) * key, "value": (d + bias) * kv * value}
    else:
        ranked = (d + bias) * shape.q_rank + shape.q_rank + shape.q_rank * wide
        counts |= {
            "query": ranked if shape.q_rank else (d + bias) * wide,
            "key": (d + bias) * (shape.kv_rank + shape.d_rope) + shape.kv_rank,
            "value": shape.kv_rank * heads * (shape.d_head + value),
        }
    return {block: counts[block] for block in ("query", "key", "value", "output", "sinks")}


def feed_forward(shape: Shape, width: int) -> dict[str, int]:
    """Return the parameters of the matrices of one feed-forward of `width`, biases included."""
    up = (shape.d_model + shape.ffn_bias) * width
    return {"ffn_gate": up * shape.gated, "ffn_up": up, "ffn_down": (width + shape.ffn_bias) * shape.d_model}


def expert(shape: Shape) -> int:
    """Return the parameters of one expert of one layer."""
    return sum(feed_forward(shape, shape.expert_width).values())


def norm_size(shape: Shape) -> int:
    return shape.d_model * (shape.norm_scale + (shape.norm_bias and shape.norm_scale))


def total(shape: Shape) -> int:
    """Return all parameters, embeddings included (what model cards state)."""
    return sum(parameters(shape).values())


def active(shape: Shape) -> int:
    """Return the parameters that compute one token: all but the experts it is not sent to. Both embeddings count."""
    return total(shape) - shape.mixture_layers * (shape.experts - shape.experts_per_token) * expert(shape)


def non_embedding(shape: Shape) -> int:
    """Return all but token and position embeddings and lm_head: N of Kaplan et al. 2020, section 2.1."""
    counts = parameters(shape)
    return sum(counts.values()) - sum(counts[block] for block in EMBEDDINGS)


def in_layers(shape: Shape) -> int:
    """Return the parameters of all layers: no embeddings, and not the norm and output layer after them."""
    counts = parameters(shape)
    return non_embedding(shape) - counts["embedding_norm"] - counts["head_bias"] - norm_size(shape) * shape.final_norm


def multiplied(shape: Shape) -> int:
    """Return the weights of all layers that one token is multiplied by; each costs 2 FLOPs per token and forward
    pass."""
    d, heads, mixtures = shape.d_model, shape.n_heads, shape.mixture_layers
    bare = {"qkv_bias": False, "output_bias": False, "ffn_bias": False, "router_bias": False, "sinks": False}
    plain = Shape(**{**vars(shape), **bare})
    attention = sum(attention_layer(plain).values()) + d * heads * shape.d_head * shape.relative_positions
    latents = shape.kv_rank + shape.q_rank  # scales of their norms are no products
    dense = (shape.n_layers - mixtures) * sum(feed_forward(plain, shape.d_ff).values())
    chosen = (shape.experts_per_token + shape.shared_experts) * expert(plain)
    mixed = mixtures * (chosen + d * (shape.experts + shape.shared_gate))
    return shape.n_layers * (attention - latents) + dense + mixed


def keys_seen(tokens: float, attention: str) -> float:
    """Return how many keys a query meets on average in a sequence of so many tokens, counted as `attention` says."""
    if attention not in ATTENTION:
        raise InputError(f"plan.attention: {attention!r} is not one of {', '.join(ATTENTION)}")
    return {"full": tokens, "causal": tokens / 2, "none": 0.0}[attention]


def keys_in_window(tokens: float, window: int, attention: str) -> float:
    """Return the same for a layer that sees the last `window` tokens: W or, with a causal mask, W - W^2 / 2T."""
    if window >= tokens or attention == "none":
        return keys_seen(tokens, attention)
    return window - window * window / (2 * tokens) if attention == "causal" else window


def attention_products(shape: Shape, sequence: float, attention: str = "full") -> float:
    """Return the FLOPs of Q K^T and the weighted sum of V, all layers, for one token of a sequence, forward."""
    windowed = shape.window_layers
    keys = (shape.n_layers - windowed) * keys_seen(sequence, attention)
    keys += windowed * keys_in_window(sequence, shape.window, attention) if windowed else 0
    return 2 * shape.n_heads * (shape.d_key + shape.head_value) * keys


def kv_values(shape: Shape) -> int:
    """Return the values that one layer caches of one token: keys and values of its heads, or latent and position."""
    if shape.kv_rank:
        return shape.kv_rank + shape.d_rope
    return shape.n_kv_heads * (shape.d_key + shape.head_value)


def kv_bytes_per_token(shape: Shape, bytes_per_value: int = 2) -> int:
    """Return the bytes cached of one token in all layers, L K 2 d_head b (Shazeer 2019; Ainslie et al. 2023), or L
    (kv_rank + d_rope) b with latent attention (DeepSeek-AI 2024). A layer with a window caches it while it is in the
    window."""
    return shape.n_layers * kv_values(shape) * bytes_per_value


def kv_bytes(shape: Shape, tokens: int, users: int = 1, bytes_per_value: int = 2) -> int:
    """Return the bytes cached for `users` requests of `tokens` tokens each, nothing shared between them; a layer with a
    window keeps the last `window` tokens."""
    windowed = shape.window_layers
    kept = (shape.n_layers - windowed) * tokens + windowed * min(tokens, shape.window)
    return kept * kv_values(shape) * bytes_per_value * users


def parameter_counts(config: ModelConfig) -> dict[str, int]:
    """Return the parameters of a model of this repository by block, and their "total". A block that it lacks has 0.

    V d embedding and, untied, lm_head; T d learned positions; d H h query and output, d K h key and value; d f each
    matrix of the feed-forward, three if gated, else two; norms of d: two a layer, one at the end if norms come first,
    one after the embedding if asked for, and of h: two a layer for qk_norm. A bias adds its matrix's output width, and
    a LayerNorm's d again.
    """
    counts = parameters(Shape.of(config))
    counts["norms"] += counts["embedding_norm"] + counts["qk_norm"]
    counts["total"] = total(Shape.of(config))
    ours = ("embedding", "positions", "query", "key", "value", "output", "ffn_gate", "ffn_up", "ffn_down", "norms")
    return {block: counts[block] for block in (*ours, "lm_head", "total")}
