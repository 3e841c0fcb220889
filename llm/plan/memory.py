"""Bytes on the fullest GPU, by part: weights, gradients, optimizer state, activations, logits.

States: Rajbhandari et al. 2020 (ZeRO), sections 3.1 and 5. Activations: Korthikanti et al. 2022, table 2 and section 4,
term by term, so that other shapes (GQA, gates, no dropout, fused attention) follow from the same terms.
Not counted: temporary buffers and fragmentation, which Cluster.usable_memory stands for.
"""

from llm.plan.parameters import layer, parameters, total
from llm.plan.setup import Setup, stage_layers
from llm.plan.shape import Shape

# Bytes per parameter: weights, gradients, optimizer.
PRECISIONS = {
    "mixed": (2, 2, 12),  # 16: fp16 weights and gradients; fp32 master copy, m, v (ZeRO, section 3.1)
    "mixed_fp32_gradients": (2, 4, 12),  # 18: gradients summed in fp32 (Megatron-LM)
    "fp32": (4, 4, 8),
    "bf16": (2, 2, 4),  # no master copy, m and v in bf16
}


def state_bytes(parameters: float, zero: int, ranks: int, precision: str = "mixed") -> dict[str, float]:
    """Weights, gradients and optimizer state of `parameters` on one of `ranks` data ranks, by ZeRO stage 0 to 3."""
    sizes = PRECISIONS[precision]
    first_shared = {"weights": 3, "gradients": 2, "optimizer": 1}  # the stage from which a part is shared out
    return {
        part: size * parameters / (ranks if zero >= first_shared[part] else 1)
        for part, size in zip(first_shared, sizes, strict=True)
    }


def rank_parameters(shape: Shape, setup: Setup) -> int:
    """Parameters of the fullest rank before ZeRO: matrices are cut by tensor, norms are not; the embedding is on the
    first stage, the output layer on the last, a tied one on both (Shoeybi et al. 2019, section 3)."""
    counts = parameters(shape)
    inner = layer(shape)
    norms = counts["norms"] // max(1, shape.n_layers)
    copies = max(1, setup.tensor // shape.n_kv_heads)  # of key-value heads, where there are fewer than tensor ranks
    spare = (counts["key"] + counts["value"]) // shape.n_layers * (copies - 1)
    per_layer = norms + (inner - norms + spare) // setup.tensor
    middle, last = stage_layers(shape, setup)
    embedding = (counts["embedding"] + counts["positions"]) // setup.tensor
    if setup.pipeline == 1:
        return shape.n_layers * per_layer + embedding + counts["lm_head"] // setup.tensor
    head = (counts["lm_head"] or counts["embedding"]) // setup.tensor
    return max(middle * per_layer + embedding, last * per_layer + head)


def layer_activations(shape: Shape, tokens: float, sequence: float, setup: Setup, fused: bool) -> float:
    """Bytes that one layer keeps for the backward pass of `tokens` = sequence x micro_batch on one rank, 2-byte values.

    For GPT's shape with dropout: s b h (34 + 5 a s / h); by tensor ranks s b h (10 + 24/t + 5 a s / h t); with sequence
    parallelism all of it over t; selective recomputation drops 5 a s / h; full keeps the layer's input, 2 s b h.
    fused: FlashAttention keeps one fp32 per head and token instead of the scores (Dao et al. 2022).
    """
    d, tensor = shape.d_model, setup.tensor
    norm_split = tensor if setup.sequence else 1
    if setup.recompute == "full":
        return 2 * d * tokens / norm_split
    whole = 4 * shape.norms_per_layer * d + 2 * d * shape.dropout  # inputs of norms, of what follows; dropout masks
    cut = 4 * shape.d_attention + 4 * shape.d_kv + (6 if shape.gated else 4) * shape.d_ff
    if fused:
        scores = 4 * shape.n_heads
    elif setup.recompute == "selective":
        scores = 0
    else:
        scores = (5 if shape.dropout else 2) * shape.n_heads * sequence
    return tokens * (whole / norm_split + (cut + scores) / tensor)


def in_flight(setup: Setup, micro_batches: int) -> float:
    """Micro-batches whose activations the first stage keeps at once, in units of a whole stage.

    1F1B: p (Narayanan et al. 2021, section 2.2.1); interleaved: p (1 + (p-1)/(p v)) (Korthikanti et al. 2022, 4.2.3).
    """
    p, v = setup.pipeline, setup.virtual
    stages = p if v == 1 else p + (p - 1) / v
    return min(stages, micro_batches)


def activation_bytes(
    shape: Shape, setup: Setup, sequence: int, micro_batches: int, fused: bool = True
) -> dict[str, float]:
    """Activations and logits of the fullest pipeline stage. Full recomputation holds one whole layer beside the inputs.

    Logits: 4 s b v / t in fp32, with their input and the final norm's: 4 s b h / t (1 + v/h) (Korthikanti, 4.3).
    """
    local = sequence / setup.context
    tokens = local * setup.micro_batch
    kept = layer_activations(shape, tokens, local, setup, fused)
    working = 0.0
    if setup.recompute == "full":
        plain = Setup(tensor=setup.tensor, sequence=setup.sequence)
        working = layer_activations(shape, tokens, local, plain, fused)
    middle, last = stage_layers(shape, setup)
    logits = 4 * tokens * (shape.padded_vocab + shape.d_model) / setup.tensor
    dropped = tokens * shape.d_model * shape.dropout / (setup.tensor if setup.sequence else 1)  # the embedding's mask
    flying = in_flight(setup, micro_batches)
    first = {"activations": middle * kept * flying + dropped * flying + working, "logits": 0.0}
    if setup.pipeline == 1:
        return first | {"logits": logits}
    final = {"activations": last * kept + working, "logits": logits}
    return max(first, final, key=lambda stage: sum(stage.values()))


def memory(
    shape: Shape, setup: Setup, sequence: int, batch: int, precision: str = "mixed", fused: bool = True
) -> dict[str, float]:
    """Bytes of the fullest GPU by part. gathered: two layers' weights, which ZeRO 3 has whole while it computes."""
    parts = state_bytes(rank_parameters(shape, setup), setup.zero, setup.replicas, precision)
    gathered = 0.0
    if setup.zero == 3 and setup.replicas > 1:
        gathered = min(2 * layer(shape), total(shape)) / setup.tensor * PRECISIONS[precision][0]
    activations = activation_bytes(shape, setup, sequence, setup.micro_batches(batch), fused)
    return parts | {"gathered": gathered} | activations
