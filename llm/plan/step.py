"""Estimates the seconds of a training step by part from a cluster's figures, without any stated TFLOP/s.

The estimate ranks the layouts. Its parts are:

    compute      matrix products of the slowest stage at the fitted share of the peak, which small micro-batches miss
    elementwise  norms, activations, masks, residuals, logits: kept activations moved through the memory so many times
    recompute    the matrix products that recomputation repeats: the layers' forward pass, or the attention scores
    tensor       all-reduces of the tensor ranks, not overlapped
    expert       all-to-alls of a mixture's expert ranks, not overlapped
    context      the ring's keys and values, as far as the attention products do not cover them
    pipeline     what is sent between stages, not overlapped
    bubble       (p - 1) / (v m) of all the above (llm/plan/pipeline.py)
    data         gradients and weights, as far as one micro-batch does not cover them; ZeRO 3: as far as all compute
                 does not, but half of it at least: it slows the kernels that it runs beside
    optimizer    states read and written once at the memory's bandwidth

The efficiency stands for stragglers, kernel launches and the data loader. docs/plan.md has the model's error on
published runs.
"""

from dataclasses import replace

from llm.model.counts import attention_products, multiplied
from llm.model.shape import Shape
from llm.plan.cluster import Cluster
from llm.plan.communication import communication
from llm.plan.memory import kept_per_token, rank_states
from llm.plan.pipeline import bubble_over_ideal
from llm.plan.setup import Setup, stage_layers

# Fitted (docs/plan.md): the tokens at which a micro-batch reaches half of the efficiency; how often a kept activation
# is written or read in all, of those that tensor ranks cut and of those around the norms.
SATURATION, PASSES, NORM_PASSES = 54, 13, 7
LATENCY_NEAR, LATENCY_FAR = 3e-6, 10e-6  # seconds for a ring to pass on one piece, inside a node and between nodes


def step_seconds(
    shape: Shape,
    setup: Setup,
    cluster: Cluster,
    sequence: int,
    batch: int,
    precision: str = "mixed",
    fused: bool = True,
) -> dict[str, float]:
    """Return the seconds of a step of `batch` sequences of `sequence` tokens, by part; their sum is the step."""
    rounds = setup.micro_batches(batch)
    local = setup.micro_batch * sequence / setup.context  # tokens of a micro-batch on a rank
    middle, last = stage_layers(shape, setup)
    attention = attention_products(shape, sequence) / shape.n_layers
    layer = 2 * multiplied(shape) / shape.n_layers
    forward = layer / cluster.faster(precision) + attention  # in FLOPs of bf16
    head = 2 * shape.padded_vocab * shape.d_model
    heaviest = forward * last + head if setup.pipeline == 1 else max(forward * middle, forward * last + head)
    rate = cluster.peak_tflops * 1e12 * cluster.efficiency * local / (local + SATURATION) * setup.tensor
    whole, cut = kept_per_token(shape, sequence, replace(setup, recompute="none"), fused)
    traffic = local * (NORM_PASSES * whole + PASSES * cut)
    logits = 4 * PASSES * local * shape.padded_vocab / setup.tensor
    repeated = {"none": 0.0, "selective": 0.0 if fused else attention, "full": forward}[setup.recompute]
    sent = communication(shape, setup, sequence, batch, precision)
    far, near = cluster.inter_gb_s * 1e9 * cluster.link_efficiency, cluster.intra_gb_s * 1e9 * cluster.link_efficiency
    inside = setup.tensor * setup.context <= cluster.gpus_per_node
    hidden = 3 * rounds * local * attention * middle / rate
    parts = {
        "compute": rounds * local * 3 * heaviest / rate,
        "elementwise": rounds * (middle * traffic + logits) / (cluster.memory_gb_s * 1e9),
        "recompute": rounds * middle * local * repeated / rate,
        "tensor": sent["tensor"] / near + rounds * middle * 8 * (setup.tensor - 1) * LATENCY_NEAR,
        "expert": sent["expert"] / (near if setup.tensor * setup.expert <= cluster.gpus_per_node else far),
        "context": max(0.0, sent["context"] / (near if inside else far) - hidden),
        "pipeline": sent["pipeline"] / far,
    }
    working = sum(parts.values())
    parts["bubble"] = working * bubble_over_ideal(setup.pipeline, rounds, setup.virtual)
    moved = sent["data"] / data_rate(setup, near, far, cluster.gpus_per_node) + hops(shape, setup, rounds, cluster)
    parts["data"] = max(moved / 2, moved - working) if setup.zero == 3 else max(0.0, moved - working / rounds)
    states = rank_states(shape, setup, precision)
    parts["optimizer"] = 2 * sum(states.values()) / (cluster.memory_gb_s * 1e9)
    return parts


def data_rate(setup: Setup, near: float, far: float, gpus_per_node: int) -> float:
    """Return the bytes/s of a data rank's ring.

    Ranks of one group in one node share its links to the next node among their rings, so each of them counts with its
    own; a group inside one node uses only the links inside it.
    """
    if setup.tensor * setup.context * setup.data <= gpus_per_node:
        return near
    return min(near, far * max(1, gpus_per_node // setup.tensor))


def hops(shape: Shape, setup: Setup, rounds: int, cluster: Cluster) -> float:
    """Return the seconds that the data ranks' rings wait for each other.

    A step has two collectives; with ZeRO 3, three for each layer and micro-batch.
    """
    near = setup.tensor * setup.replicas <= cluster.gpus_per_node
    rings = 3 * stage_layers(shape, setup)[0] * rounds if setup.zero == 3 else 2
    return rings * (setup.replicas - 1) * (LATENCY_NEAR if near else LATENCY_FAR)
