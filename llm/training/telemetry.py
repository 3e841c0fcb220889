"""Shows a run while it trains: a progress line with the time left, telemetry.parquet and TensorBoard events.

Times, speeds and memory differ from run to run, so none of this is in an artifact; the medians go to the job's record.
Only rank 0 reports. What a step computes is not changed.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import psutil
import torch

from llm.io import parquet
from llm.progress import progress
from llm.training.step import StepMetrics
from llm.training.tensorboard import EventFile

NAME = "telemetry.parquet"
STOOD = {"tokens_per_second": 0.0, "mfu": 0.0}  # of a step that was not taken
EVERY_SECONDS = 10  # between progress lines, and between writes to the disk


@dataclass(frozen=True)
class Work:
    """The work of one step: its tokens, the model FLOPs per token, and the peak FLOP/s of all devices together
    (llm/training/mfu.py)."""

    tokens: int
    flops_per_token: int
    peak: float

    def speed(self, seconds: float) -> dict[str, float]:
        """A peak that was measured while the machine was busy may be less than what a step reaches: then MFU is 1."""
        rate = self.tokens / seconds
        return {"tokens_per_second": rate, "mfu": min(1.0, rate * self.flops_per_token / self.peak)}


class Telemetry:
    """Reports steps as they pass. logs: an existing directory for live logs, None for the progress line alone; `quiet`,
    on all ranks but one, silences that too."""

    def __init__(self, work: Work, logs: Path | None = None, quiet: bool = False) -> None:
        self.work, self.quiet = work, quiet
        self.rows: list[dict] = []
        self.path = logs / NAME if logs else None
        self.events = EventFile(logs) if logs else None
        self.earlier = pl.read_parquet(self.path) if self.path and self.path.exists() else None
        self.process = psutil.Process()

    def watch(self, steps: Iterator[StepMetrics], start: int, stop: int) -> Iterator[StepMetrics]:
        """Pass on the steps start + 1 ... stop. A step's time is that of making it, not of using it."""
        shown = time.monotonic()
        try:
            while True:
                begun = time.perf_counter()
                metrics = next(steps, None)
                if metrics is None:
                    return
                self.note(metrics, time.perf_counter() - begun)
                if time.monotonic() - shown >= EVERY_SECONDS or metrics.step == stop:
                    self.show(metrics, stop)
                    self.write()
                    shown = time.monotonic()
                yield metrics
        finally:  # also when the steps end with an error
            self.write()

    def note(self, metrics: StepMetrics, seconds: float) -> None:
        speed = self.work.speed(seconds) if metrics.skipped is None else STOOD
        row = metrics.row() | {"seconds": seconds} | speed | {"memory_bytes": self.memory()}
        self.rows.append(row | {"time": time.time()})
        if self.events:
            scalars = {f"train/{name}": value for name, value in row.items() if name not in ("step", "skipped")}
            self.events.write(metrics.step, scalars)

    def show(self, metrics: StepMetrics, stop: int) -> None:
        if self.quiet:
            return
        seconds = sum(row["seconds"] for row in self.rows) / len(self.rows)
        taken = self.taken()
        speed = self.work.speed(sum(taken) / len(taken)) if taken else STOOD
        skipped = len(self.rows) - len(taken)
        progress(
            f"step {metrics.step}/{stop}  loss {metrics.loss:.3f}  {speed['tokens_per_second']:,.0f} tokens/s  "
            f"MFU {speed['mfu']:.0%}  {clock(seconds * (stop - metrics.step))} left"
            + (f"  {skipped} skipped" if skipped else "")
        )

    def taken(self) -> list[float]:
        """Seconds of the steps that were taken: what is skipped or left out trains nothing and has no rate."""
        return [row["seconds"] for row in self.rows if row["skipped"] is None]

    def write(self) -> None:
        """Replace telemetry.parquet atomically. Of an earlier, interrupted attempt the steps before this one's are
        kept."""
        if self.path is None or self.events is None or not self.rows:
            return
        rows = pl.DataFrame(self.rows, infer_schema_length=None)
        if self.earlier is not None:
            rows = pl.concat([self.earlier.filter(pl.col("step") < rows["step"][0]), rows], how="diagonal_relaxed")
        partial = self.path.with_suffix(".partial")
        parquet.write(rows, partial)
        partial.replace(self.path)
        self.events.flush()

    def validated(self, step: int, figures: dict[str, float]) -> None:
        """Write figures of the validation set as events."""
        if self.events:
            self.events.write(step, {f"validation/{name}": value for name, value in figures.items()})
            self.events.flush()

    def memory(self) -> int:
        """Return the peak bytes of tensors on this GPU or, without one, the bytes that the process holds now."""
        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else self.process.memory_info().rss

    def summary(self) -> dict:
        """Return, for the job's record, medians over the steps that this process took and the peak memory; empty if it
        took none."""
        taken = self.taken()
        if not taken:
            return {}
        seconds = statistics.median(taken)
        speed = self.work.speed(seconds)
        return {
            "tokens_per_second": round(speed["tokens_per_second"]),
            "mfu": round(speed["mfu"], 4),
            "step_seconds": round(seconds, 5),
            "matmul_peak_flops": round(self.work.peak),
            "peak_memory_bytes": max(row["memory_bytes"] for row in self.rows),
        }


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
