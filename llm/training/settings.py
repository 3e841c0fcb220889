"""What any training is told, beside its data and its loss. It imports no torch: the Snakefile reads it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from llm.settings import key
from llm.training.engines.layout import Layout, Replicas
from llm.training.guards import GuardSettings


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights are moved."""

    optimizer: Literal["adamw", "muon"] = key("muon")
    """muon: matrices by Muon, the rest by AdamW; adamw: all by AdamW."""
    learning_rate: float = key(0.03, exclusiveMinimum=0)
    """AdamW's, at its peak."""
    matrix_learning_rate: float = key(0.01, exclusiveMinimum=0)
    """Muon's, at its peak (an orthogonal update times sqrt(max(1, rows / columns)))."""
    weight_decay: float = key(0.05, minimum=0, maximum=1)
    """Decoupled, times the rate; none on norms, biases and embeddings."""
    clip_norm: float = key(1.0, exclusiveMinimum=0, shown=False)
    """Bound of the whole gradient's norm."""
    beta2: float = key(0.95, exclusiveMinimum=0, maximum=0.9999, shown=False)
    """AdamW's decay of the squared gradient's mean; beta1 is 0.9. Small batches ask for a longer mean."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How the steps are computed, watched and kept, whatever they train."""

    dtype: Literal["bfloat16", "float32"] = key("bfloat16", shown=False)
    """Of the matrix products; weights are kept in float32."""
    recompute: Literal["none", "full"] = key("none", shown=False)
    """full: a layer's activations are computed again in the backward pass."""
    guards: GuardSettings | None = key(GuardSettings(), shown=False)
    """Which steps are skipped, and when training goes back; null: what is not finite ends the run."""
    recovery_every: int = key(100, minimum=1, shown=False)
    """Steps between recovery points."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a job may take; in no key."""

    time_limit: int | None = key(None, minimum=1, shown=False)
    """Minutes until a job stops and can be run again; null: none. Slurm's own limit counts anyway."""
    hang_seconds: int = key(1800, minimum=0, shown=False)
    """Without a step, until the process is ended; 0: never."""


class Rates(Protocol):
    """The learning rate over the steps."""

    def factor(self, step: int) -> float:
        """Return the factor on the peak rate for update number `step`, counted from 1."""


class Steps(Protocol):
    """What a segment's loop reads of its slice: RunSettings, and these. It takes the steps start + 1 ... stop."""

    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> Rates: ...
    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def parallel(self) -> Layout | Replicas: ...
    @property
    def guards(self) -> GuardSettings | None: ...
    @property
    def recovery_every(self) -> int: ...
    @property
    def dtype(self) -> Literal["bfloat16", "float32"]: ...
