"""Decides which steps are skipped and when training rolls back, from losses and gradient norms alone. These are equal
on all ranks, so that all decide alike, and a run that was killed decides again as it did.

A step is skipped if its loss or gradient norm is not finite, or exceeds mean + 6 sigma of the accepted steps of a
window (as OLMo-core's SkipStepOptimizer). Skipped steps, and accepted ones whose loss exceeds what was normal at the
golden point, are strikes. After `patience` strikes in a row the damage is in the weights: training goes back to the
golden point, and on the way again leaves out the batches that had strikes and `patience` ones before them (as PaLM,
Chowdhery et al. 2022, section 5.1). The golden point is the last recovery point that `patience` steps without a strike
have followed, or else the segment's start.
"""

import math
from dataclasses import asdict, dataclass, field, replace

from llm.errors import InputError
from llm.settings import key
from llm.training.step import StepMetrics

LAST = 16  # steps whose mean loss is a segment's end
WORSE = 1.0  # nats above guessing that are no noise of its beginning


@dataclass(frozen=True)
class Blame:
    """How a run that diverged is told of: its name, what to do about it, and what is left."""

    name: str
    advice: str
    left: str = ""

    def diverged(self, step: int, loss: float, norm: float, how: str = "") -> InputError:
        return InputError(
            f"{self.name} diverged at step {step}: loss {loss}, gradient norm {norm}{how}; {self.advice}{self.left}"
        )


@dataclass(frozen=True)
class GuardSettings:
    """Which steps are skipped, and when training goes back."""

    window: int = key(128, minimum=2)
    """Accepted steps that the statistics are of; until half of it is there only what is not finite is skipped."""
    sigmas: float = key(6.0, exclusiveMinimum=0)
    """Standard deviations above the mean of loss or gradient norm."""
    patience: int = key(8, minimum=1)
    """Such steps in a row before training goes back."""
    max_rollbacks: int = key(3, minimum=0)
    """In a segment; then it ends with an error."""


@dataclass
class Guard:
    """The state of one segment's guard; to_json and from_json save it with a recovery point.

    accepted: [loss, gradient norm] of the window. strikes: steps in a row. left_out: steps whose batches are not used.
    golden: the step to go back to, and the highest loss that was normal there (None: unknown). pending: the same of a
    point that may become golden. events: what happened, for events.jsonl.
    """

    settings: GuardSettings
    golden: list
    accepted: list[list[float]] = field(default_factory=list)
    strikes: int = 0
    left_out: list[int] = field(default_factory=list)
    pending: list | None = None
    rollbacks: int = 0
    events: list[dict] = field(default_factory=list)

    def judge(self, step: int, loss: float, norm: float) -> str | None:
        """Return why this step is to be skipped, None if it is to be taken; it is counted either way."""
        reason = self.fault(loss, norm)
        if reason is None:
            self.accepted = [*self.accepted, [loss, norm]][-self.settings.window :]
        else:
            self.events.append({"step": step, "what": "skip", "reason": reason} | values(loss, norm))
        limit = self.golden[1]
        if reason is not None or (limit is not None and loss > limit):
            self.strikes += 1
            self.pending = None
        else:
            self.strikes = 0
        if self.pending is not None and step - self.pending[0] >= self.settings.patience:
            self.golden, self.pending = self.pending, None
        return reason

    def fault(self, loss: float, norm: float) -> str | None:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return "not finite"
        for column, (name, value) in enumerate((("loss", loss), ("gradient norm", norm))):
            limit = self.limit(column)
            if limit is not None and value > limit:
                return f"{name} above {limit:.4g}"
        return None

    def limit(self, column: int) -> float | None:
        """Return mean + sigmas * standard deviation of the window; None while it is less than half full."""
        found = [values[column] for values in self.accepted]
        if len(found) < self.settings.window / 2:
            return None
        mean = math.fsum(found) / len(found)
        return mean + self.settings.sigmas * math.sqrt(math.fsum((value - mean) ** 2 for value in found) / len(found))

    def saved(self, step: int) -> None:
        """Note that a recovery point of this step is about to be written, with this state."""
        if self.pending is None and self.strikes == 0:
            self.pending = [step, self.limit(0)]

    def wants_rollback(self, last: bool) -> bool:
        """Should training roll back after the step that was judged last? `last` of the segment: then fewer strikes
        suffice, as its end should not rest on doubtful steps."""
        return self.strikes >= (min(2, self.settings.patience) if last else self.settings.patience)

    def rolled_back(self, step: int, kept: "Guard") -> "Guard":
        """Return the state after rolling back from `step` to the golden point, whose own state was `kept`."""
        golden = self.golden[0]
        first = max(golden + 1, step - self.strikes + 1 - self.settings.patience)
        left_out = sorted({*self.left_out, *range(first, step + 1)})
        event = {"step": step, "what": "rollback", "to": golden, "left_out": [first, step]}
        return replace(
            kept,
            golden=list(self.golden),
            strikes=0,
            pending=None,
            left_out=left_out,
            rollbacks=self.rollbacks + 1,
            events=[*self.events, event],
        )

    def refuse_more(self, step: int, loss: float, norm: float, blame: Blame) -> None:
        """Raise InputError if no rollback is left."""
        if self.rollbacks >= self.settings.max_rollbacks:
            raise blame.diverged(step, loss, norm, f" after {self.rollbacks} rollbacks")

    def to_json(self) -> dict:
        return {name: value for name, value in asdict(self).items() if name != "settings"}

    @classmethod
    def from_json(cls, settings: GuardSettings, value: dict) -> "Guard":
        return cls(settings, **value)


def refuse_divergence(history: list[StepMetrics], chance: float, blame: Blame) -> None:
    """InputError unless a segment's steps have been training: at least half of them taken, and the last of those no
    worse than guessing. chance: the loss of guessing, e.g. of giving every token the same probability."""
    taken = [metrics.loss for metrics in history if metrics.skipped is None]
    last = math.fsum(taken[-LAST:]) / len(taken[-LAST:]) if taken else math.nan
    skipped = len(history) - len(taken)
    if 2 * skipped <= len(history) and last <= chance + WORSE:
        return
    raise InputError(
        f"{blame.name} diverged: {skipped} of {len(history)} steps skipped, loss {last:.4g} in the last that were "
        f"taken (guessing has {chance:.4g}); {blame.advice}{blame.left}"
    )


def values(loss: float, norm: float) -> dict:
    """Return loss and norm for JSON: null if not finite."""
    return {name: value if math.isfinite(value) else None for name, value in (("loss", loss), ("grad_norm", norm))}
