"""Defines how many ranks train one model and what each of them holds. It imports no torch, since the Snakefile reads
it.

world size = data x tensor x pipeline x context. Ranks are ordered as in Megatron-LM: tensor fastest, then context, then
data, pipeline slowest.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from llm.errors import InputError
from llm.settings import key


@dataclass(frozen=True)
class Layout:
    """How the work is laid over ranks: a config's `pretrain.parallel` block. docs/pretrain.md says more."""

    engine: Literal["torch", "megatron"] = key("torch", shown=False)
    """torch: one process, DDP, FSDP2; megatron: megatron-core, which splits the model too."""
    data: int = key(1, minimum=1)
    """Replicas, each with its own rows of the batch and a core or a GPU of its own: on one GPU presets/gpu.yaml."""
    tensor: int = key(1, minimum=1, shown=False)
    """Ranks that share each matrix."""
    pipeline: int = key(1, minimum=1, shown=False)
    """Ranks that share the layers."""
    virtual: int = key(1, minimum=1, shown=False)
    """Stages of the model on each pipeline rank (interleaved schedule; 1: 1F1B)."""
    context: int = key(1, minimum=1, shown=False)
    """Ranks that share each sequence's tokens."""
    sequence: bool = key(False, shown=False)
    """Norms' activations are split over the tensor ranks too (Korthikanti et al. 2022)."""
    sharding: Literal["none", "optimizer", "full"] = key("none", shown=False)
    """What the data ranks do not all hold: optimizer's state (ZeRO 1), or weights and gradients too (ZeRO 3, FSDP)."""
    micro_batch: int | None = key(None, minimum=1, shown=False)
    """Rows that go through the model at once; null: all of the rank."""

    def validate(self) -> "Layout":
        """Returns itself. Raises InputError, one line that begins with the config key, for what cannot be run."""
        if self.engine == "torch":
            for name in ("tensor", "pipeline", "virtual", "context"):
                if getattr(self, name) > 1:
                    refuse(name, f"{getattr(self, name)} needs pretrain.parallel.engine: megatron, torch splits data")
            if self.sharding == "optimizer":
                refuse("sharding", "optimizer needs pretrain.parallel.engine: megatron; torch has none and full")
        elif self.sharding == "full":
            refuse("sharding", "full needs pretrain.parallel.engine: torch; megatron has none and optimizer")
        if self.virtual > 1 and self.pipeline == 1:
            refuse("virtual", f"{self.virtual} stages to a rank need pretrain.parallel.pipeline of 2 or more")
        if self.sequence and self.tensor == 1:
            refuse("sequence", "true needs pretrain.parallel.tensor of 2 or more: it splits over the tensor ranks")
        return self

    @property
    def world_size(self) -> int:
        return self.data * self.tensor * self.pipeline * self.context

    def ranks_per_node(self, nodes: int) -> int:
        """Return the ranks of each node. Raises InputError unless all nodes have equally many."""
        if self.world_size % nodes:
            raise InputError(
                f"pretrain.nodes: {nodes} nodes cannot share the {self.world_size} ranks of pretrain.parallel evenly"
            )
        return self.world_size // nodes

    def rows_per_rank(self, batch_size: int) -> int:
        """Return the rows of a step that each replica trains on. Raises InputError unless all have equally many."""
        return share_of(batch_size, self.data, "pretrain.batch_size", "pretrain.parallel.data")

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Replicas:
    """How the work is laid over ranks where each has whole layers: a config's `align.parallel` block."""

    data: int = key(1, minimum=1)
    """Replicas, each with its own items of the batch."""
    sharding: Literal["none", "full"] = key("none")
    """full: the ranks do not all hold weights, gradients and optimizer's state (ZeRO 3, FSDP)."""
    micro_batch: int | None = key(None, minimum=1)
    """Items that go through the model at once; null: all of the rank."""

    @property
    def world_size(self) -> int:
        return self.data

    def rows_per_rank(self, batch_size: int, key: str) -> int:
        """Return the items of a step that each replica trains on. key: of the batch size, for the message. Raises
        InputError unless all have equally many."""
        return share_of(batch_size, self.data, key, "align.parallel.data")

    def to_dict(self) -> dict:
        return asdict(self)


def share_of(batch_size: int, data: int, key: str, divisor: str) -> int:
    if batch_size % data:
        raise InputError(
            f"{key}: {batch_size} is not divisible by {divisor}: {data}; write {batch_size - batch_size % data + data}"
        )
    return batch_size // data


def refuse(name: str, problem: str) -> None:
    raise InputError(f"pretrain.parallel.{name}: {problem}")
