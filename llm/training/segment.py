"""Trains one segment, on any engine, so that it survives kills, signals, time limits, spikes and damage.

It goes from the newest recovery point, or the segment's start, to the last step. The batch of a step is a function of
the step, everything else that a step depends on is in a recovery point, and decisions depend on these alone. So a run
that was interrupted, wherever and however often, ends with the bytes of one that never was.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from llm.errors import InputError, Stopped
from llm.runtime.agreement import Ranks
from llm.runtime.stopping import Stopping
from llm.runtime.watchdog import Watchdog
from llm.training.checkpoint import Snapshot, beginning, check_finite, load_checkpoint, read_state, save_checkpoint
from llm.training.engine import Engine
from llm.training.guards import Blame, Guard, GuardSettings
from llm.training.prefetch import OnPolicy, Stream, ahead
from llm.training.recovery import Recovery
from llm.training.settings import Steps
from llm.training.step import StepMetrics

S_co = TypeVar("S_co", bound=Steps, covariant=True)


@dataclass(frozen=True)
class Task(Generic[S_co]):
    """A segment's task. `previous`: the checkpoint of step `settings.start`, None at 0. `config`: the architecture's
    digest. `blame`: what to say if it diverges."""

    settings: S_co
    previous: Path | None
    config: str
    blame: Blame


class Segment:
    """One rank's view of the segment. build: makes this rank's engine, its weights as at step 0. identity: digest of
    all that the steps depend on; recovery points with another are refused."""

    def __init__(
        self,
        task: Task,
        build: Callable[[], Engine],
        stream: Stream,
        ranks: Ranks,
        recovery: Recovery,
        identity: str,
    ) -> None:
        self.identity = identity
        self.task, self.settings = task, task.settings
        self.build, self.ranks, self.recovery = build, ranks, recovery
        self.stream, self.rows = stream, ahead(stream, self.settings.batch_size)
        self.engine = build()
        point = recovery.find()
        if point is None:
            self.from_start()
        else:
            self.go_on_from(point)
            recovery.warn(f"going on from step {self.step}, where an interrupted run had come to")

    def from_start(self) -> None:
        """Set the engine, and all else, to the segment's first step."""
        task, settings = self.task, self.settings
        state = beginning()
        if task.previous is not None:
            state = load_checkpoint(task.previous, self.engine, task.config, self.ranks)
            check_finite(task.previous, self.engine, self.ranks)
        if state["step"] != settings.start:
            raise InputError(
                f"{task.previous} is of step {state['step']}, but this segment starts at step {settings.start}"
            )
        self.step, self.tokens_seen, self.skipped = settings.start, state["tokens_seen"], state["skipped"]
        self.guard = Guard(settings.guards or GuardSettings(), [settings.start, None], state["window"])
        self.guard.golden[1] = self.guard.limit(0)
        self.history: list[StepMetrics] = []
        if isinstance(self.stream, OnPolicy):
            self.stream.restore(None)

    def go_on_from(self, point: Path) -> None:
        """Restore everything from a recovery point."""
        if read_state(point)["identity"] != self.identity:
            raise InputError(f"{point} is of a run with other parameters; name a scratch directory of its own")
        state = load_checkpoint(point, self.engine, self.task.config, self.ranks)
        self.step, self.tokens_seen, self.skipped = state["step"], state["tokens_seen"], state["skipped"]
        self.guard = Guard.from_json(self.settings.guards or GuardSettings(), state["guard"])
        self.history = [StepMetrics(*values) for values in state["history"]]
        if isinstance(self.stream, OnPolicy):
            self.stream.restore(state["stream"])

    def steps(self, stopping: Stopping, hang_seconds: float) -> Iterator[StepMetrics]:
        """Train to the last step; yield an item for each step, whose numbers come again after a rollback. Raises
        Stopped when it is time, InputError when training diverges."""
        longest = 0.0
        with Watchdog(hang_seconds) as watchdog:
            while self.step < self.settings.stop:
                begun = time.monotonic()
                metrics = self.make_step(self.step + 1)
                self.recovery.check()
                if self.guard.wants_rollback(metrics.step == self.settings.stop):
                    self.roll_back(metrics)
                elif self.step % self.settings.recovery_every == 0 and self.step < self.settings.stop:
                    self.guard.saved(self.step)
                    self.save_point()
                watchdog.step_ended(metrics.step)
                longest = max(longest, time.monotonic() - begun)
                yield metrics
                if self.ranks.any(stopping.due(2 * longest)) and self.step < self.settings.stop:
                    self.save_point()
                    self.recovery.wait()
                    kept = "all is kept" if self.recovery.kept == self.step else "which could not be kept"
                    raise Stopped(f"stopped at step {self.step} of {self.settings.stop}, {kept}; run again to go on")
        self.recovery.wait()

    def make_step(self, step: int) -> StepMetrics:
        """Take a step or skip it; return its metrics."""
        settings = self.settings
        factor, begin = settings.schedule.factor(step), (step - 1) * settings.batch_size
        metrics = StepMetrics(step, math.nan, settings.learning_rate * factor, math.nan, "left out")
        if step not in self.guard.left_out:
            loss, norm = self.engine.gradients(partial(self.rows, begin), settings.batch_size)
            if settings.guards is not None:
                reason = self.guard.judge(step, loss, norm)
            elif math.isfinite(loss) and math.isfinite(norm):
                reason = None
            else:
                raise self.task.blame.diverged(step, loss, norm)
            metrics = replace(metrics, loss=loss, grad_norm=norm, skipped=reason, figures=self.engine.figures)
            if reason is None:
                self.engine.update(factor, norm)
                self.tokens_seen += self.stream.tokens_of(begin, settings.batch_size)
            else:
                self.engine.skip()
                self.recovery.warn(f"step {step} is skipped: {reason} (loss {loss:.4g}, gradient norm {norm:.4g})")
        if metrics.skipped is not None:
            self.skipped = [*self.skipped, step]
        self.history.append(metrics)
        self.step = step
        return metrics

    def roll_back(self, metrics: StepMetrics) -> None:
        """Go back to the golden point, or the segment's start, and use other batches from there on."""
        guard = self.guard
        guard.refuse_more(metrics.step, metrics.loss, metrics.grad_norm, self.task.blame)
        self.recovery.wait()
        point = self.recovery.find(guard.golden[0]) if guard.golden[0] != self.settings.start else None
        if point is not None:
            self.go_on_from(point)
        else:
            if self.task.previous is None:
                self.engine = self.build()
            self.from_start()
            guard.golden = list(self.guard.golden)
        self.guard = guard.rolled_back(metrics.step, self.guard)
        first, last = self.guard.events[-1]["left_out"]
        self.recovery.warn(f"gone back from step {metrics.step} to {self.step}; batches {first} to {last} are left out")

    def save_point(self) -> None:
        state = self.state() | {
            "identity": self.identity,
            "guard": self.guard.to_json(),
            "history": [astuple(metrics) for metrics in self.history],
        }
        if isinstance(self.stream, OnPolicy):
            state["stream"] = self.stream.state()
        self.recovery.save(Snapshot.of(self.engine), state)

    def state(self) -> dict:
        """Return state.json: where training stands, beside weights and optimizer."""
        return {
            "step": self.step,
            "tokens_seen": self.tokens_seen,
            "skipped": self.skipped,
            "window": self.guard.accepted,
            "config": self.task.config,
            "layout": self.settings.parallel.to_dict(),
        }

    def save(self, checkpoint: Path) -> None:
        """Write the segment's checkpoint into an empty directory."""
        self.recovery.check()
        save_checkpoint(checkpoint, Snapshot.of(self.engine), self.state(), self.ranks)
