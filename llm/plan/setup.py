"""Describes how a model is laid out over a cluster on paper: a Layout with all ZeRO stages and recomputation.

It also tells why a layout is impossible, and which of this repository's engines would run it.
"""

from dataclasses import asdict, dataclass, fields
from typing import Literal

from llm.checks import only_known, positive_whole
from llm.errors import InputError
from llm.model.shape import Shape
from llm.plan.cluster import Cluster
from llm.plan.flops import RECOMPUTE
from llm.training.engines.layout import Layout

MOST_UNEVEN = 1.1  # stages may be so uneven that, all as full as the fullest, they would hold so many times the layers
ENGINES: tuple[Literal["torch", "megatron"], ...] = ("torch", "megatron")
SHARDING: dict[int, Literal["none", "optimizer", "full"]] = {0: "none", 1: "optimizer", 3: "full"}


@dataclass(frozen=True)
class Setup:
    """Ranks by dimension as in llm/training/engines/layout.py. micro_batch: sequences that go through the model at
    once.

    expert: ranks among which a mixture's experts are shared out; they are data ranks to everything else.

    zero: what data ranks share out: 0 nothing, 1 optimizer state, 2 gradients too, 3 weights too (FSDP).
    recompute: none, selective (the attention scores, Korthikanti et al. 2022) or full (whole layers, Chen et al. 2016).
    """

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    virtual: int = 1
    context: int = 1
    sequence: bool = False
    micro_batch: int = 1
    zero: int = 0
    recompute: str = "none"
    expert: int = 1

    @classmethod
    def from_section(cls, section: dict) -> "Setup":
        """Return the validated layout of a config's `plan.layout`. Raises InputError that names the key."""
        only_known(section, [field.name for field in fields(cls)], "plan.layout")
        setup = cls(**section)
        for key in ("data", "tensor", "pipeline", "virtual", "context", "micro_batch", "expert"):
            positive_whole(getattr(setup, key), f"plan.layout.{key}")
        if not isinstance(setup.sequence, bool):
            raise InputError(f"plan.layout.sequence: {setup.sequence!r} is not true or false")
        if setup.zero not in (0, 1, 2, 3):
            raise InputError(f"plan.layout.zero: {setup.zero!r} is not 0, 1, 2 or 3")
        if setup.recompute not in RECOMPUTE:
            raise InputError(f"plan.layout.recompute: {setup.recompute!r} is not one of {', '.join(RECOMPUTE)}")
        return setup

    @property
    def world(self) -> int:
        return self.data * self.tensor * self.pipeline * self.context

    @property
    def replicas(self) -> int:
        """How many ranks hold the same parameters: data and context ranks share gradients and optimizer state."""
        return self.data * self.context

    def micro_batches(self, batch: int) -> int:
        """Return the micro-batches that each data rank runs in a step of `batch` sequences."""
        return batch // (self.data * self.micro_batch)

    def to_dict(self) -> dict:
        return asdict(self)


def stage_layers(shape: Shape, setup: Setup) -> tuple[int, int]:
    """Return the layers of a middle pipeline stage and of the last one.

    If the stages do not divide the layers, the embedding and the output layer count as one each (Llama 3: 126 layers,
    16 stages; Megatron-LM's account_for_embedding_in_pipeline_split); if that fails too, the stages are rounded up.
    """
    stages = setup.pipeline * setup.virtual
    if shape.n_layers % stages == 0:
        return shape.n_layers // setup.pipeline, shape.n_layers // setup.pipeline
    if (shape.n_layers + 2) % stages == 0:
        middle = (shape.n_layers + 2) // setup.pipeline
        return middle, middle - 1
    return -(-shape.n_layers // setup.pipeline), shape.n_layers // setup.pipeline


def problem(setup: Setup, shape: Shape, cluster: Cluster, batch: int, sequence: int) -> str | None:
    """Return in one line why this layout is impossible, or None if it is possible."""
    if setup.world != cluster.gpus:
        return f"{setup.world} ranks, but the cluster has {cluster.gpus} GPUs"
    if setup.tensor > cluster.gpus_per_node:
        return f"tensor {setup.tensor} leaves the node of {cluster.gpus_per_node} GPUs"
    if shape.n_heads % setup.tensor:
        return f"tensor {setup.tensor} does not divide {shape.n_heads} heads"
    if shape.n_kv_heads % setup.tensor and setup.tensor % shape.n_kv_heads:
        return f"tensor {setup.tensor} does not share out {shape.n_kv_heads} key-value heads"
    stages = setup.pipeline * setup.virtual
    if shape.n_layers % stages and (shape.n_layers + 2) % stages:
        fullest = -(-shape.n_layers // stages) * stages
        if setup.virtual > 1 or fullest > shape.n_layers * MOST_UNEVEN:
            return f"pipeline {setup.pipeline} x virtual {setup.virtual} does not divide {shape.n_layers} layers"
    if batch % (setup.data * setup.micro_batch):
        return f"data {setup.data} x micro_batch {setup.micro_batch} does not divide a batch of {batch}"
    if setup.virtual > 1 and (setup.pipeline == 1 or setup.micro_batches(batch) % setup.pipeline):
        return f"virtual {setup.virtual} needs micro-batches in multiples of pipeline {setup.pipeline}"
    if setup.sequence and (setup.tensor == 1 or sequence % setup.tensor):
        return "sequence needs tensor ranks that divide the sequence"
    if setup.expert > 1 and (setup.data % setup.expert or shape.experts % setup.expert or not shape.experts):
        return f"expert {setup.expert} does not divide data {setup.data} and {shape.experts} experts"
    if setup.context > 1 and sequence % (2 * setup.context):
        return f"context {setup.context} does not cut {sequence} tokens into two pieces for each rank"
    return None


def engine(setup: Setup) -> str | None:
    """Return the engine of this repository that runs such a layout, "torch" or "megatron", or None."""
    if setup.zero not in SHARDING or setup.expert > 1:
        return None
    sizes = {key: getattr(setup, key) for key in ("data", "tensor", "pipeline", "virtual", "context", "sequence")}
    for name in ENGINES:
        layout = Layout(engine=name, sharding=SHARDING[setup.zero], micro_batch=setup.micro_batch, **sizes)
        try:
            layout.validate()
        except InputError:
            continue
        return name
    return None
