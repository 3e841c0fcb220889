"""What a segment of pretraining is told: the slice of the config that its bytes depend on. Imports no torch: the
Snakefile reads it. llm/pretrain/segments.py cuts a run into segments and makes the slice of each."""

import math
from dataclasses import dataclass
from typing import Literal

from llm.model.grid import Grid
from llm.settings import key
from llm.training.engines.layout import Layout
from llm.training.settings import OptimizerSettings, RunSettings


@dataclass(frozen=True, kw_only=True)
class StepSettings(RunSettings, OptimizerSettings):
    """What every step of a run depends on, whatever its segment."""

    batch_size: int = key(16, minimum=1)
    """Sequences of model.context_length tokens in a step."""
    parallel: Layout = key(Layout(), shown=False)
    """How the work is laid over ranks, see docs/pretrain.md."""
    compile: bool = key(False, shown=False)
    """torch.compile, for each layer and for the loss."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The part of a schedule that a segment depends on; before the decay no more than the first two.

    Warm-up is linear. `cosine` falls to `final_fraction` of the peak and stays there. `wsd` (warm-up, stable, decay; Hu
    et al. 2024) stays at 1 and falls linearly over the last steps. `final_fraction` is what a step after the decay
    would have, so that no step is lost where it is 0.
    """

    kind: Literal["cosine", "wsd"]
    warmup_steps: int
    decay_from: int = 0
    """The last step before the decay."""
    steps: int | None = None
    """The last step of the decay, after which the rate is final_fraction of the peak; null: this segment knows of no
    decay."""
    final_fraction: float = 0.0

    def factor(self, step: int) -> float:
        """Return the factor on the peak rate for update number `step`, counted from 1."""
        warmup = min(1.0, step / max(1, self.warmup_steps))
        if self.steps is None or step <= self.decay_from:
            return warmup
        span = self.steps - self.decay_from
        fraction = min(1.0, (step - 1 - self.decay_from) / span) if span else 1.0
        shape = fraction if self.kind == "wsd" else (1 - math.cos(math.pi * fraction)) / 2
        return warmup * (1 - (1 - self.final_fraction) * shape)


@dataclass(frozen=True, kw_only=True)
class SegmentSettings(StepSettings):
    """The slice of a segment, from after step `start` to `stop`."""

    start: int
    stop: int
    schedule: Schedule
    validation_tokens: int | None
    """Of each source, scored at the end; null: all."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class QatSettings(SegmentSettings):
    """The slice of a segment whose weights are trained on the grid that they will be quantized to."""

    grid: Grid
