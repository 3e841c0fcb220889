"""One segment of pretraining: from a checkpoint, or from nothing, to the next checkpoint, on any engine.

Everything that a step computes depends on the weights, the optimizer's state and the step's number, so that 20 + 20
steps equal 40 bit for bit. Knows nothing of models, ranks or optimizers: these are the engine's.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from llm.errors import InputError
from llm.train.data import TokenStream
from llm.train.engine import Engine
from llm.train.schedule import learning_rate_factor


@dataclass(frozen=True)
class StepMetrics:
    """`loss` in nats per token, before the update; `lr` AdamW's rate; `grad_norm` before clipping. `skipped`: why there
    was no update, None if there was one."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    skipped: str | None = None


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


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """What `work` returns, and its wall time in seconds."""
    begun = time.monotonic()
    result = work()
    return result, time.monotonic() - begun
