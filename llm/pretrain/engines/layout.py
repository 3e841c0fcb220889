"""How many ranks train one model, and what each of them holds. Imports no torch: the Snakefile and the planner use it.

world size = data x tensor x pipeline x context. Ranks are ordered as in Megatron-LM: tensor fastest, then context, then
data, pipeline slowest.
"""

from dataclasses import asdict, dataclass, fields

from llm.checks import only_known, positive_whole
from llm.errors import InputError

ENGINES = ("torch", "megatron")
SHARDINGS = ("none", "optimizer", "full")


@dataclass(frozen=True)
class Layout:
    """`engine`: torch (one process, DDP, FSDP2) or megatron (megatron-core).

    data: replicas, each with its own rows of the batch. tensor, pipeline, context: ranks that share the matrices, the
    layers, a sequence's tokens. virtual: stages of the model on each pipeline rank (interleaved schedule; 1: 1F1B).
    sequence: norms' activations are split over the tensor ranks too (Korthikanti et al. 2022). sharding: what the data
    ranks do not all hold: nothing, the optimizer's state (ZeRO 1), or weights, gradients and state (ZeRO 3, FSDP).
    micro_batch: rows that go through the model at once; None: all rows of the rank.
    """

    engine: str = "torch"
    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    virtual: int = 1
    context: int = 1
    sequence: bool = False
    sharding: str = "none"
    micro_batch: int | None = None

    @classmethod
    def from_section(cls, section: dict) -> "Layout":
        """The validated layout of a config's `pretrain.parallel` block."""
        only_known(section, [field.name for field in fields(cls)], "pretrain.parallel")
        return cls(**section).validate()

    def validate(self) -> "Layout":
        """Returns itself. Raises InputError, one line that begins with the config key, for what cannot be run."""
        for key in ("data", "tensor", "pipeline", "virtual", "context"):
            positive_whole(getattr(self, key), f"pretrain.parallel.{key}")
        if self.engine not in ENGINES:
            refuse("engine", f"{self.engine!r} is not one of {', '.join(ENGINES)}")
        if self.sharding not in SHARDINGS:
            refuse("sharding", f"{self.sharding!r} is not one of {', '.join(SHARDINGS)}")
        if self.engine == "torch":
            for key in ("tensor", "pipeline", "virtual", "context"):
                if getattr(self, key) > 1:
                    refuse(key, f"{getattr(self, key)} needs pretrain.parallel.engine: megatron, torch splits data")
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
        """InputError unless every node has as many."""
        if self.world_size % nodes:
            raise InputError(
                f"pretrain.nodes: {nodes} nodes cannot share the {self.world_size} ranks of pretrain.parallel evenly"
            )
        return self.world_size // nodes

    def to_dict(self) -> dict:
        return asdict(self)


def refuse(key: str, problem: str) -> None:
    raise InputError(f"pretrain.parallel.{key}: {problem}")
