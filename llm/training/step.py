"""The metrics of one training step, as plain numbers."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class StepMetrics:
    """`loss` before the update, of pretraining in nats per token; `lr` AdamW's rate; `grad_norm` before clipping.
    `skipped`: why there was no update, None if there was one. `figures`: what the objective counts beside the loss."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    skipped: str | None = None
    figures: dict[str, float] = field(default_factory=dict)

    def row(self) -> dict:
        """Return a row of a table: a column for each figure, by name, since a recovery point keeps no other order."""
        plain = {name: value for name, value in vars(self).items() if name != "figures"}
        return plain | dict(sorted(self.figures.items()))
