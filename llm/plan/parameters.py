"""Parameters of a decoder by block, from its shape alone. Builds nothing.

Source: the shapes of the matrices themselves (Vaswani et al. 2017, section 3; Brown et al. 2020, table 2.1 has d_ff =
4 d_model; Shazeer 2020 has the third matrix of a gated feed-forward; Ainslie et al. 2023 grouped keys and values).
"""

from llm.plan.shape import Shape

EMBEDDINGS = ("embedding", "positions", "lm_head")


def parameters(shape: Shape) -> dict[str, int]:
    """Block -> parameters, all layers together. A tied lm_head counts 0: it is the embedding."""
    d, wide, kv, ff, layers = shape.d_model, shape.d_attention, shape.d_kv, shape.d_ff, shape.n_layers
    norm = d * (shape.norm_scale + (shape.norm_bias and shape.norm_scale))
    counts = {
        "embedding": shape.padded_vocab * d,
        "positions": shape.learned_positions * d,
        "embedding_norm": norm * shape.embedding_norm,
        "query": layers * (d * wide + wide * shape.qkv_bias),
        "key": layers * (d * kv + kv * shape.qkv_bias),
        "value": layers * (d * kv + kv * shape.qkv_bias),
        "output": layers * (wide * d + d * shape.output_bias),
        "relative": layers * d * wide * shape.relative_positions,
        "gate": layers * (d * ff + ff * shape.ffn_bias) * shape.gated,
        "up": layers * (d * ff + ff * shape.ffn_bias),
        "down": layers * (ff * d + d * shape.ffn_bias),
        "norms": layers * shape.norms_per_layer * norm + norm * shape.final_norm,
        "qk_norm": layers * 2 * shape.d_head * shape.qk_norm,
        "lm_head": 0 if shape.tied else shape.padded_vocab * d,
        "head_bias": shape.padded_vocab * shape.head_bias,
    }
    return {block: int(count) for block, count in counts.items()}


def total(shape: Shape) -> int:
    """All parameters, embeddings included (what model cards state)."""
    return sum(parameters(shape).values())


def non_embedding(shape: Shape) -> int:
    """All but token and position embeddings and lm_head: N of Kaplan et al. 2020, section 2.1."""
    counts = parameters(shape)
    return sum(counts.values()) - sum(counts[block] for block in EMBEDDINGS)


def layer(shape: Shape) -> int:
    """Parameters of one transformer layer."""
    inside = ("query", "key", "value", "output", "relative", "gate", "up", "down", "qk_norm")
    counts = parameters(shape)
    final = shape.d_model * (shape.norm_scale + (shape.norm_bias and shape.norm_scale)) * shape.final_norm
    return (sum(counts[block] for block in inside) + counts["norms"] - final) // shape.n_layers


def matrices(shape: Shape) -> int:
    """Weights of one layer that every token is multiplied by: each costs 2 FLOPs per token and forward pass."""
    d, ff = shape.d_model, shape.d_ff
    attention = d * shape.d_attention * (2 + shape.relative_positions) + 2 * d * shape.d_kv
    return attention + (2 + shape.gated) * d * ff


def by_group(shape: Shape) -> dict[str, int]:
    """The seed's blocks: embedding, Q/K/V/O, feed-forward, norms, output layer."""
    counts = parameters(shape)
    groups = {
        "embedding": ("embedding", "positions"),
        "attention": ("query", "key", "value", "output", "relative"),
        "feed_forward": ("gate", "up", "down"),
        "norms": ("norms", "qk_norm", "embedding_norm"),
        "lm_head": ("lm_head", "head_bias"),
    }
    return {group: sum(counts[block] for block in blocks) for group, blocks in groups.items()}
