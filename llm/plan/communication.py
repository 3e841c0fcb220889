"""Counts the bytes that one GPU sends in a step, by parallel dimension, on a middle pipeline rank with 2-byte values.

Collectives are rings: in an all-reduce of n bytes over r ranks each rank sends 2 n (r-1)/r, in an all-gather or a
reduce-scatter half of that (Patarasuk and Yuan 2009).
"""

from llm.model.counts import kv_values
from llm.model.shape import Shape
from llm.plan.memory import PRECISIONS, rank_parameters
from llm.plan.setup import Setup, stage_layers


def ring(size: float, ranks: int) -> float:
    """Return the bytes that each rank sends to all-gather (or reduce-scatter) `size` bytes in all."""
    return size * (ranks - 1) / ranks


def data_bytes(parameters: float, setup: Setup, micro_batches: int, precision: str = "mixed", ranks: int = 0) -> float:
    """Return the bytes of gradients and weights sent among the ranks that hold the same parameters.

    `ranks` is their number; 0 stands for the data times the context ranks. ZeRO 0 all-reduces the gradients; 1 and 2
    reduce-scatter them and all-gather the weights, the same volume; 3 gathers the weights for the forward and again for
    the backward pass and scatters the gradients in every micro-batch, 1.5 times as much (Rajbhandari et al. 2020,
    section 7).
    """
    weights, gradients, _ = PRECISIONS[precision]
    ranks = ranks or setup.replicas
    if setup.zero == 0:
        return 2 * ring(gradients * parameters, ranks)
    if setup.zero < 3:
        return ring((gradients + weights) * parameters, ranks)
    return ring((2 * weights + gradients) * parameters, ranks) * micro_batches


def tensor_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """Return the bytes of tensor parallelism: four all-reduces of b s h per layer, two forward and two backward.

    Source: Shoeybi et al. 2019, section 3. Recomputed layers need two more. Sequence parallelism replaces each by a
    reduce-scatter and an all-gather, the same volume (Korthikanti et al. 2022, section 4.2.2). A block with one norm
    needs half of them (PaLM, section 2).
    """
    reduces = (4 + 2 * (setup.recompute == "full")) * shape.norms_per_layer / 2
    size = 2 * setup.micro_batch * sequence / setup.context * shape.d_model
    return reduces * 2 * ring(size, setup.tensor) * stage_layers(shape, setup)[0] * micro_batches


def pipeline_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """Return the bytes sent between stages: b s h forward and back at each boundary of a model chunk.

    Each tensor rank sends its part (Narayanan et al. 2021, sections 3.2 and 4.1).
    """
    if setup.pipeline == 1:
        return 0.0
    size = 2 * setup.micro_batch * sequence / setup.context * shape.d_model / setup.tensor
    return 2 * size * setup.virtual * micro_batches


def context_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """Return the bytes of keys and values sent round the ring forward, and with their gradients backward.

    Source: Liu et al. 2023.
    """
    shared = 1 if shape.kv_rank else min(setup.tensor, shape.n_kv_heads)
    block = 2 * setup.micro_batch * sequence / setup.context * kv_values(shape) / shared
    return 3 * block * (setup.context - 1) * stage_layers(shape, setup)[0] * micro_batches


def expert_bytes(shape: Shape, setup: Setup, sequence: int, micro_batches: int) -> float:
    """Return the bytes of a mixture's all-to-alls: each token goes to its experts' ranks and back, forward and
    backward.

    Values have two bytes, and each tensor rank sends its share (Lepikhin et al. 2021). A token with two experts on one
    rank goes there once.
    """
    size = 2 * setup.micro_batch * sequence / setup.context * shape.d_model / setup.tensor
    mixed = shape.mixture_layers / shape.n_layers * stage_layers(shape, setup)[0]
    met = setup.expert * (1 - (1 - 1 / setup.expert) ** shape.experts_per_token)  # ranks, on average
    return 4 * ring(size * met, setup.expert) * mixed * micro_batches


def communication(shape: Shape, setup: Setup, sequence: int, batch: int, precision: str = "mixed") -> dict[str, float]:
    """Return the bytes that one GPU sends in a step of `batch` sequences, by dimension."""
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
