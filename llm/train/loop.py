"""One segment of pretraining: from a checkpoint, or from nothing, to the next checkpoint, on any engine.

Everything that a step computes depends on the weights, the optimizer's state and the step's number, so that 20 + 20
steps equal 40 bit for bit. Knows nothing of models, ranks or optimizers: these are the engine's.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llm.errors import InputError
from llm.progress import progress
from llm.train.data import TokenStream
from llm.train.engine import Engine
from llm.train.schedule import learning_rate_factor

PROGRESS_SECONDS = 10


@dataclass(frozen=True)
class StepMetrics:
    """`loss` in nats per token, before the update; `lr` AdamW's rate; `grad_norm` before clipping."""

    step: int
    loss: float
    lr: float
    grad_norm: float


def train(
    engine: Engine, stream: TokenStream, start: int, stop: int, batch_size: int, schedule: dict, learning_rate: float
) -> Iterator[StepMetrics]:
    """Updates number start + 1 ... stop, one item each. InputError on a loss or gradient that is not finite."""
    for step in range(start + 1, stop + 1):
        loss, norm = engine.gradients(partial(stream.rows, (step - 1) * batch_size), batch_size)
        factor = learning_rate_factor(step, schedule)
        metrics = StepMetrics(step, loss, learning_rate * factor, norm)
        if not math.isfinite(metrics.loss) or not math.isfinite(metrics.grad_norm):
            raise InputError(
                f"pretraining diverged at step {step}: loss {metrics.loss}, gradient norm {metrics.grad_norm}; lower "
                f"pretrain.learning_rate or raise pretrain.warmup_steps (the checkpoint of step {start} is untouched)"
            )
        engine.update(factor, norm)
        yield metrics


def shown(steps: Iterator[StepMetrics], start: int, stop: int, tokens_per_step: int) -> Iterator[StepMetrics]:
    """Passes the steps on and shows one of them about every ten seconds."""
    begun = last = time.monotonic()
    for metrics in steps:
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS or metrics.step == stop:
            last = now
            seconds = (now - begun) / (metrics.step - start)
            progress(
                f"step {metrics.step}/{stop}  loss {metrics.loss:.3f}  {tokens_per_step / seconds:,.0f} tokens/s  "
                f"{clock(seconds * (stop - metrics.step))} left"
            )
        yield metrics


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def write_metrics(path: Path, steps: list[StepMetrics], validation: dict) -> None:
    """One JSON line per step, the last one with the validation figures. No times: equal runs give equal bytes."""
    lines = [vars(metrics) for metrics in steps]
    lines[-1] = lines[-1] | {"val_bpb": validation["bpb"], "val_bpb_by_domain": validation["by_domain"]}
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines), encoding="utf-8")


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """What `work` returns, and its wall time in seconds."""
    begun = time.monotonic()
    result = work()
    return result, time.monotonic() - begun
