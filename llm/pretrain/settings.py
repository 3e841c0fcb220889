"""What a segment of pretraining is told: the slice of the config that its bytes depend on. Imports no torch: the
Snakefile reads it. llm/pretrain/segments.py cuts a run into segments and makes the slice of each."""

from dataclasses import dataclass
from typing import Literal

from llm.pretrain.engines.layout import Layout
from llm.pretrain.guards import GuardSettings
from llm.settings import key


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights are moved."""

    optimizer: Literal["adamw", "muon"] = key("muon")
    """muon: matrices by Muon, the rest by AdamW (betas 0.9 and 0.95); adamw: all by AdamW."""
    learning_rate: float = key(0.03, exclusiveMinimum=0)
    """AdamW's, at its peak."""
    matrix_learning_rate: float = key(0.01, exclusiveMinimum=0)
    """Muon's, at its peak (an orthogonal update times sqrt(max(1, rows / columns)))."""
    weight_decay: float = key(0.05, minimum=0, maximum=1)
    """Decoupled, times the rate; none on norms, biases and embeddings."""
    clip_norm: float = key(1.0, exclusiveMinimum=0, shown=False)
    """Bound of the whole gradient's norm."""


@dataclass(frozen=True, kw_only=True)
class StepSettings(OptimizerSettings):
    """What every step of a run depends on, whatever its segment."""

    batch_size: int = key(16, minimum=1)
    """Sequences of model.context_length tokens in a step."""
    dtype: Literal["bfloat16", "float32"] = key("bfloat16", shown=False)
    """Of the matrix products; weights are kept in float32."""
    parallel: Layout = key(Layout(), shown=False)
    """How the work is laid over ranks, see docs/pretrain.md."""
    recompute: Literal["none", "full"] = key("none", shown=False)
    """full: a layer's activations are computed again in the backward pass."""
    compile: bool = key(False, shown=False)
    """torch.compile, for each layer and for the loss."""
    guards: GuardSettings | None = key(GuardSettings(), shown=False)
    """Which steps are skipped, and when training goes back; null: what is not finite ends the run."""
    recovery_every: int = key(100, minimum=1, shown=False)
    """Steps between recovery points inside a segment."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The part of a schedule that a segment depends on; before the decay no more than the first two."""

    kind: Literal["cosine", "wsd"]
    warmup_steps: int
    decay_from: int = 0
    """The last step before the decay."""
    steps: int | None = None
    """The last step of the decay, after which the rate is final_fraction of the peak; null: this segment knows of no
    decay."""
    final_fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SegmentSettings(StepSettings):
    """The slice of a segment, from after step `start` to `stop`."""

    start: int
    stop: int
    schedule: Schedule
    validation_tokens: int | None
    """Of each source, scored at the end; null: all."""
    seed: int
