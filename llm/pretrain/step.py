"""The metrics of one training step, as plain numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepMetrics:
    """`loss` in nats per token, before the update; `lr` AdamW's rate; `grad_norm` before clipping. `skipped`: why there
    was no update, None if there was one."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    skipped: str | None = None
