"""Bytes that one GPU sends in a step, by parallel dimension. A middle pipeline rank; values of two bytes.

Collectives are rings: an all-reduce of n bytes over r ranks sends 2 n (r-1)/r from each, an all-gather or a
reduce-scatter half of it (Patarasuk and Yuan 2009).
"""

from llm.model.counts import kv_values
from llm.model.shape import Shape
from llm.plan.memory import PRECISIONS, rank_parameters
from llm.plan.setup import Setup, stage_layers


def ring(size: float, ranks: int) -> float:
    """Bytes that each rank sends to gather (or reduce and scatter) `size` bytes in all."""
    return size * (ranks - 1) / ranks


def data_bytes(parameters: float, setup: Setup, micro_batches: int, precision: str = "mixed", ranks: int = 0) -> float:
    """Gradients and weights over the ranks that hold the same parameters: the data and context ranks, or `ranks`.

    ZeRO 0: an all-reduce of the gradients; 1 and 2: a reduce-scatter and an all-gather of the weights, the same volume;
    3: weights are gathered for the forward and again for the backward pass, gradients scattered, for every micro-batch:
    1.5 times as much (Rajbhandari et al. 2020, section 7).
    """
    weights, gradients, _ = PRECISIONS[precision]
    ranks = ranks or setup.replicas
    if setup.zero == 0:
        return 2 * ring(gradients * parameters, ranks)
    if setup.zero < 3:
        return ring((gradients + weights) * parameters, ranks)
    return ring((2 * weights + gradients) * parameters, ranks) * micro_batches


def tensor_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """Four all-reduces of b s h a layer: two forward, two backward (Shoeybi et al. 2019, section 3), two more where
    layers are recomputed. Sequence parallelism replaces each by a reduce-scatter and an all-gather: the same volume
    (Korthikanti et al. 2022, section 4.2.2). A block with one norm needs half of them (PaLM, section 2)."""
    reduces = (4 + 2 * (setup.recompute == "full")) * shape.norms_per_layer / 2
    size = 2 * setup.micro_batch * sequence / setup.context * shape.d_model
    return reduces * 2 * ring(size, setup.tensor) * stage_layers(shape, setup)[0] * micro_batches


def pipeline_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """b s h forward and back at each boundary of a model chunk; tensor ranks send a part each
    (Narayanan et al. 2021, sections 3.2 and 4.1)."""
    if setup.pipeline == 1:
        return 0.0
    size = 2 * setup.micro_batch * sequence / setup.context * shape.d_model / setup.tensor
    return 2 * size * setup.virtual * micro_batches


def context_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """Keys and values travel round the ring forward, and with their gradients backward (Liu et al. 2023)."""
    shared = 1 if shape.kv_rank else min(setup.tensor, shape.n_kv_heads)
    block = 2 * setup.micro_batch * sequence / setup.context * kv_values(shape) / shared
    return 3 * block * (setup.context - 1) * stage_layers(shape, setup)[0] * micro_batches


def expert_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """All-to-alls of a mixture: every token to its experts' ranks and back, forward and backward; two-byte values, the
    tensor ranks' share each (Lepikhin et al. 2021). A token that meets two experts on one rank goes there once."""
    size = 2 * setup.micro_batch * sequence / setup.context * shape.d_model / setup.tensor
    mixed = shape.mixture_layers / shape.n_layers * stage_layers(shape, setup)[0]
    met = setup.expert * (1 - (1 - 1 / setup.expert) ** shape.experts_per_token)  # ranks, on average
    return 4 * ring(size * met, setup.expert) * mixed * micro_batches


def communication(shape: Shape, setup: Setup, sequence: int, batch: int, precision: str = "mixed") -> dict[str, float]:
    """Bytes sent by one GPU in a step of `batch` sequences, by dimension."""
    rounds = setup.micro_batches(batch)
    whole, experts = rank_parameters(shape, setup)
    mixed = data_bytes(experts, setup, rounds, precision, setup.replicas // setup.expert)
    return {
        "data": data_bytes(whole - experts, setup, rounds, precision) + mixed,
        "tensor": tensor_bytes(shape, setup, sequence, rounds),
        "pipeline": pipeline_bytes(shape, setup, sequence, rounds),
        "context": context_bytes(shape, setup, sequence, rounds),
        "expert": expert_bytes(shape, setup, sequence, rounds),
    }
