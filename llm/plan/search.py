"""Finds the best layout by exhaustive search: all that divide and fit the memory, ranked by estimated step time.

The space is tensor x context x pipeline x virtual x expert x ZeRO stage x recomputation x micro-batch; data ranks are
what is left. If no layout of all GPUs divides batch, heads and layers, some GPUs stay idle.
Left out: tensor ranks across nodes; ZeRO 2 and 3 with pipeline stages (gradients would be scattered, weights gathered,
for each micro-batch); tensor ranks without sequence parallelism (same volume, more memory); less than 4,096
tokens of a sequence on a context rank; more than 8 model chunks on a rank, or 16 sequences in a micro-batch.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from llm.model.shape import Shape
from llm.plan.cluster import Cluster
from llm.plan.flops import RECOMPUTE
from llm.plan.memory import memory
from llm.plan.setup import Setup, problem
from llm.plan.step import step_seconds

MOST_VIRTUAL, MOST_MICRO_BATCH, LEAST_TOKENS = 8, 16, 4096


@dataclass(frozen=True)
class Found:
    """A layout with its bytes on the fullest GPU and its seconds per step, both by part."""

    setup: Setup
    memory: dict[str, float]
    seconds: dict[str, float]

    @property
    def step(self) -> float:
        return sum(self.seconds.values())

    @property
    def bytes(self) -> float:
        return sum(self.memory.values())


def evaluate(shape: Shape, setup: Setup, cluster: Cluster, sequence: int, batch: int, precision: str, fused: bool):
    """Return the layout's memory and step time, whether it fits or not."""
    used = memory(shape, setup, sequence, batch, precision, fused)
    return Found(setup, used, step_seconds(shape, setup, cluster, sequence, batch, precision, fused))


def search(
    shape: Shape, cluster: Cluster, sequence: int, batch: int, precision: str = "mixed", fused: bool = True
) -> tuple[list[Found], Counter]:
    """Return the layouts that fit, fastest first, then simplest first, and counts of those looked at and rejected.

    The counter's keys: `looked_at`, `constraint` (a rule of `problem` is broken), `memory` (too large).
    """
    found: list[Found] = []
    fate: Counter[str] = Counter()
    for setup in candidates(shape, cluster, sequence, batch, fused):
        fate["looked_at"] += 1
        if problem(setup, shape, cluster, batch, sequence):
            fate["constraint"] += 1
            continue
        used = memory(shape, setup, sequence, batch, precision, fused)
        if sum(used.values()) > cluster.usable_bytes:
            fate["memory"] += 1
            continue
        found.append(Found(setup, used, step_seconds(shape, setup, cluster, sequence, batch, precision, fused)))
    found.sort(key=lambda entry: (entry.step, simplicity(entry.setup)))
    return found, fate


def simplicity(setup: Setup) -> tuple:
    """Return a sort key, smaller for a simpler layout, which orders layouts of equal time and makes the order total."""
    sizes = setup.pipeline, setup.tensor, setup.context, setup.virtual, setup.expert
    return (*sizes, setup.zero, setup.recompute, setup.micro_batch)


def candidates(shape: Shape, cluster: Cluster, sequence: int, batch: int, fused: bool) -> Iterator[Setup]:
    """Yield every layout of the space whose ranks multiply to the cluster's GPUs.

    Selective recomputation is left out with fused attention, which keeps no scores to recompute.
    """
    recomputes = [name for name in RECOMPUTE if not (fused and name == "selective")]
    for data, tensor, pipeline, context in ranks(shape, cluster, sequence):
        if batch % data:
            continue
        chunks = range(1, MOST_VIRTUAL + 1) if pipeline > 1 else (1,)
        for micro_batch in divisors(batch // data, MOST_MICRO_BATCH):
            for virtual in chunks:
                for zero in zero_stages(data * context, pipeline):
                    for recompute in recomputes:
                        for expert in expert_ranks(shape, data):
                            sizes = data, tensor, pipeline, virtual, context, tensor > 1, micro_batch
                            yield Setup(*sizes, zero, recompute, expert)


def ranks(shape: Shape, cluster: Cluster, sequence: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the (data, tensor, pipeline, context) ranks that multiply to the cluster's GPUs."""
    for tensor in divisors(cluster.gpus, min(cluster.gpus_per_node, shape.n_heads)):
        for context in divisors(cluster.gpus // tensor, max(1, sequence // LEAST_TOKENS)):
            for pipeline in divisors(cluster.gpus // tensor // context, shape.n_layers):
                yield cluster.gpus // (tensor * context * pipeline), tensor, pipeline, context


def working_gpus(shape: Shape, cluster: Cluster, sequence: int, batch: int) -> int:
    """Return the most GPUs that have a layout: all, or as many as divide batch, heads and layers. One always has."""

    def fits(gpus: int) -> bool:
        some = replace(cluster, gpus=gpus)
        return any(
            batch % data == 0 and not problem(plain(data, tensor, pipeline, context), shape, some, batch, sequence)
            for data, tensor, pipeline, context in ranks(shape, some, sequence)
        )

    return next(gpus for gpus in range(cluster.gpus, 0, -1) if fits(gpus))


def nearest_batch(shape: Shape, cluster: Cluster, sequence: int, batch: int) -> int:
    """Return the batch nearest to the requested one with which all GPUs have a layout."""
    possible = [
        data * max(1, round(batch / data))
        for data, tensor, pipeline, context in ranks(shape, cluster, sequence)
        if not problem(plain(data, tensor, pipeline, context), shape, cluster, data, sequence)
    ]
    return min(possible, key=lambda size: (abs(size - batch), size))


def plain(data: int, tensor: int, pipeline: int, context: int) -> Setup:
    return Setup(data, tensor, pipeline, 1, context, tensor > 1)


def expert_ranks(shape: Shape, data: int) -> list[int]:
    """Return the numbers of data ranks among which a mixture's experts can be shared out; [1] without experts."""
    if not shape.experts:
        return [1]
    return [count for count in divisors(data, shape.experts) if shape.experts % count == 0]


def zero_stages(replicas: int, pipeline: int) -> tuple[int, ...]:
    if replicas == 1:
        return (0,)
    return (0, 1, 2, 3) if pipeline == 1 else (0, 1)


def divisors(number: int, most: int) -> list[int]:
    return [value for value in range(1, min(number, most) + 1) if number % value == 0]
