"""Counts the bytes on the fullest GPU by part: weights, gradients, optimizer state, activations, logits.

States follow Rajbhandari et al. 2020 (ZeRO), sections 3.1 and 5. Activations follow Korthikanti et al. 2022, table 2
and section 4, term by term, so that other shapes (GQA, gates, no dropout, fused attention) follow from the same terms.
Temporary buffers and fragmentation are not counted; Cluster.usable_memory stands for them.
"""

from llm.model.counts import in_layers, parameters, total
from llm.model.shape import Shape
from llm.plan.setup import Setup, stage_layers

# Bytes per parameter: weights, gradients, optimizer.
PRECISIONS = {
    "mixed": (2, 2, 12),  # 16: fp16 weights and gradients; fp32 master copy, m, v (ZeRO, section 3.1)
    "mixed_fp32_gradients": (2, 4, 12),  # 18: gradients summed in fp32 (Megatron-LM)
    "fp32": (4, 4, 8),
    "bf16": (2, 2, 4),  # no master copy, m and v in bf16
    "fp8": (1, 4, 8),  # fp8 weights, fp32 gradients and master copy, m and v in bf16 (DeepSeek-V3, section 3.3)
}


def state_bytes(parameters: float, zero: int, ranks: int, precision: str = "mixed") -> dict[str, float]:
    """Return the bytes of the states of `parameters` on one of `ranks` data ranks, by ZeRO stage 0 to 3.

    Keys: weights, gradients, optimizer.
    """
    sizes = PRECISIONS[precision]
    first_shared = {"weights": 3, "gradients": 2, "optimizer": 1}  # the stage from which a part is shared out
    return {
        part: size * parameters / (ranks if zero >= first_shared[part] else 1)
        for part, size in zip(first_shared, sizes, strict=True)
    }


def rank_parameters(shape: Shape, setup: Setup) -> tuple[float, float]:
    """Return the parameters of the fullest rank before ZeRO, and how many of them are experts' (held by fewer ranks).

    Tensor ranks cut matrices but not norms; expert ranks also cut experts. The embedding is on the first stage, the
    output layer on the last, a tied one on both (Shoeybi et al. 2019, section 3). Each layer counts as the average one.
    """
    counts, layers = parameters(shape), shape.n_layers
    norms = counts["norms"] // layers
    copies = max(1, setup.tensor // shape.n_kv_heads)  # of key-value heads, where there are fewer than tensor ranks
    spare = (counts["key"] + counts["value"]) // layers * (copies - 1)
    experts = counts["experts"] / layers / (setup.tensor * setup.expert)
    inner = (in_layers(shape) - counts["experts"]) / layers
    per_layer = norms + (inner - norms + spare) / setup.tensor + experts
    middle, last = stage_layers(shape, setup)
    embedding = (counts["embedding"] + counts["positions"]) / setup.tensor
    if setup.pipeline == 1:
        return layers * per_layer + embedding + counts["lm_head"] / setup.tensor, layers * experts
    head = (counts["lm_head"] or counts["embedding"]) / setup.tensor
    stages = [(middle * per_layer + embedding, middle * experts), (last * per_layer + head, last * experts)]
    return max(stages)


def rank_states(shape: Shape, setup: Setup, precision: str = "mixed") -> dict[str, float]:
    """Return the bytes of the fullest rank's states; an expert's states are shared out among its own replicas."""
    all_of_them, experts = rank_parameters(shape, setup)
    dense = state_bytes(all_of_them - experts, setup.zero, setup.replicas, precision)
    mixed = state_bytes(experts, setup.zero, setup.replicas // setup.expert, precision)
    return {part: dense[part] + mixed[part] for part in dense}


def layer_activations(shape: Shape, tokens: float, sequence: float, setup: Setup, fused: bool) -> float:
    """Return the bytes that one layer keeps for the backward pass of `tokens` on one rank, in 2-byte values.

    `tokens` is sequence x micro-batch. For GPT's shape with dropout: s b h (34 + 5 a s / h); over t tensor ranks s b h
    (10 + 24/t + 5 a s / h t); with sequence parallelism all of it over t; selective recomputation drops 5 a s / h; full
    keeps the layer's input, 2 s b h. `fused`: FlashAttention keeps one fp32 per head and token instead of the scores
    (Dao et al. 2022).
    """
    if setup.recompute == "full":
        return 2 * shape.d_model * tokens / (setup.tensor if setup.sequence else 1)
    return tokens * sum(kept_per_token(shape, sequence, setup, fused))


def kept_per_token(shape: Shape, sequence: float, setup: Setup, fused: bool) -> tuple[float, float]:
    """Return the bytes per token that one layer keeps on a rank: what only sequence parallelism cuts, and what tensor
    ranks cut.
    """
    d, heads, keys = shape.d_model, shape.n_heads, shape.n_heads if shape.kv_rank else shape.n_kv_heads
    whole = 4 * shape.norms_per_layer * d + 2 * d * shape.dropout  # inputs of norms, of what follows; dropout masks
    latents = 4 * (shape.kv_rank + shape.q_rank + shape.d_rope) if shape.kv_rank else 0
    attended = 2 * (heads + keys) * (shape.d_key + shape.head_value) + latents
    scores: float
    if fused:
        scores = 4 * heads
    elif setup.recompute == "selective":
        scores = 0
    else:
        scores = (5 if shape.dropout else 2) * heads * sequence
    cut = attended + feed_forward_activations(shape) + scores
    return whole / (setup.tensor if setup.sequence else 1), cut / setup.tensor


def feed_forward_activations(shape: Shape) -> float:
    """Return the bytes per token that the average layer's feed-forward keeps, without the norms' outputs.

    A mixture keeps those of the experts that a token goes to, and the token's copies on the way there and back.
    """
    kept = 6 if shape.gated else 4
    mixed = shape.mixture_layers / shape.n_layers
    chosen = shape.experts_per_token + shape.shared_experts
    copies = 4 * shape.d_model * shape.experts_per_token
    return (1 - mixed) * kept * shape.d_ff + mixed * (kept * chosen * shape.expert_width + copies)


def in_flight(setup: Setup, micro_batches: int) -> float:
    """Return how many micro-batches' activations the first stage keeps at once, in units of a whole stage.

    1F1B: p (Narayanan et al. 2021, section 2.2.1); interleaved: p (1 + (p-1)/(p v)) (Korthikanti et al. 2022, 4.2.3).
    """
    p, v = setup.pipeline, setup.virtual
    stages = p if v == 1 else p + (p - 1) / v
    return min(stages, micro_batches)


def activation_bytes(
    shape: Shape, setup: Setup, sequence: int, micro_batches: int, fused: bool = True
) -> dict[str, float]:
    """Return the bytes of activations and of logits on the fullest pipeline stage.

    Full recomputation holds one whole layer beside the inputs. Logits: 4 s b v / t in fp32; with their input and the
    final norm's: 4 s b h / t (1 + v/h) (Korthikanti, 4.3).
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
    """Return the bytes of the fullest GPU by part. `gathered`: the two layers' weights that ZeRO 3 holds whole at
    once."""
    parts = rank_states(shape, setup, precision)
    gathered = 0.0
    if setup.zero == 3 and setup.replicas > 1:
        experts = parameters(shape)["experts"] * (1 - 1 / setup.expert)
        two = 2 * (in_layers(shape) - experts) / shape.n_layers
        gathered = min(two, total(shape)) / setup.tensor * PRECISIONS[precision][0]
    activations = activation_bytes(shape, setup, sequence, setup.micro_batches(batch), fused)
    return parts | {"gathered": gathered} | activations
