"""What every script that trains an adapter is told: the slice of sft and of reward. It imports no torch."""

from dataclasses import dataclass
from typing import Literal

from llm.errors import InputError
from llm.model.grid import Grid
from llm.settings import key
from llm.training.engines.layout import Replicas
from llm.training.settings import RunSettings


@dataclass(frozen=True)
class LoraConfig:
    """A LoRA adapter."""

    r: int = key(16, minimum=1)
    """Rank."""
    alpha: float = key(32, exclusiveMinimum=0)
    """The update is scaled by alpha / r."""
    target_modules: tuple[Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], ...] = (
        key(("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), minItems=1, uniqueItems=True)
    )
    """Last names of the layers."""
    rslora: bool = key(False, shown=False)
    """The update is scaled by alpha / sqrt(r) instead (Kalajdzievski 2023, arXiv 2312.03732)."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The rate climbs to learning_rate over warmup_steps and falls linearly to zero."""

    steps: int = key(minimum=1)
    """Optimizer steps in all."""
    batch_size: int = key(minimum=1)
    """Conversations or pairs in a step."""
    learning_rate: float = key(exclusiveMinimum=0)
    """AdamW's, at its peak."""
    warmup_steps: int = key(minimum=0)
    """Fewer than steps."""
    weight_decay: float = key(0.0, minimum=0, shown=False)
    """AdamW's."""

    def __post_init__(self) -> None:
        if self.warmup_steps >= self.steps:
            raise InputError(
                f"align: warmup_steps: {self.warmup_steps} is not less than steps: {self.steps}; make one of them fit"
            )

    def factor(self, step: int) -> float:
        """Return the factor on the peak rate for update number `step`, counted from 1; it is never zero."""
        rising = step / (self.warmup_steps + 1)
        falling = (self.steps - step + 1) / (self.steps - self.warmup_steps)
        return min(1.0, rising, falling)


@dataclass(frozen=True, kw_only=True)
class AdapterKeys(RunSettings):
    """What all methods share."""

    max_tokens: int = key(128, minimum=2)
    """Longer conversations are counted as too_long; at most model.context_length."""
    too_long: Literal["leave_out", "cut"] = key("leave_out", shown=False)
    """What becomes of them; cut: at their end, which is then not learned as one."""
    packing: bool = key(False, shown=False)
    """The answers of a step are computed end to end, without padding; none sees another. Gradients are the same."""
    dtype: Literal["bfloat16", "float32"] = key("bfloat16")
    """Of the matrix products: bfloat16 is 1.5 times as fast here; weights stay in float32."""
    parallel: Replicas = key(Replicas(), shown=False)
    """How the work is laid over ranks, see docs/align.md."""
    lora: LoraConfig = key(LoraConfig())
    """The adapter."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Of a method that needs neither a reference nor a head beside the model."""

    full: bool = key(False, shown=False)
    """All weights are trained, and `lora` has no meaning; learning_rate should be a tenth, or less, of an adapter's."""


@dataclass(frozen=True, kw_only=True)
class AdapterSettings(AdapterKeys):
    """The slice. full: see Whole."""

    schedule: Schedule
    seed: int
    grid: Grid | None = None
    """Of the weights that the forward pass computes with."""
    full: bool = False

    def __post_init__(self) -> None:
        self.parallel.rows_per_rank(self.schedule.batch_size, "schedule.batch_size")

    @property
    def start(self) -> int:
        """An adapter is trained in one segment, from its first step."""
        return 0

    @property
    def stop(self) -> int:
        """The last step."""
        return self.schedule.steps

    @property
    def batch_size(self) -> int:
        """Items in a step."""
        return self.schedule.batch_size

    @property
    def learning_rate(self) -> float:
        """AdamW's, at its peak."""
        return self.schedule.learning_rate
