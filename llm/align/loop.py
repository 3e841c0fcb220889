"""The training loop of SFT, reward and DPO: AdamW, warm-up and linear decay, clipping, history.

It runs in one process without checkpoints: an adapter trains in less time than a segment of pretraining. history.jsonl
has no times, since it is part of the artifact. Losses and data come from the caller, step by step, in `losses`.
"""

import json
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from llm.errors import InputError
from llm.progress import progress

CLIP = 1.0
BETAS = (0.9, 0.999)
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Schedule:
    """`steps` of `batch` examples; the learning rate rises to `lr` over `warmup` steps and falls linearly to zero."""

    steps: int
    batch: int
    lr: float
    warmup: int
    weight_decay: float = 0.0

    def validate(self) -> "Schedule":
        """Return itself. Raises InputError, which names the impossible value."""
        if self.steps < 1 or self.batch < 1 or self.lr <= 0 or self.weight_decay < 0:
            raise InputError(f"align: steps and batch must be at least 1, lr above 0, weight_decay at least 0: {self}")
        if not 0 <= self.warmup < self.steps:
            raise InputError(f"align: warmup must be at least 0 and less than steps: {self}")
        return self


def learning_rate(schedule: Schedule, step: int) -> float:
    """Return the rate of step 0, 1, ...; it is never zero, not even at the first or last step."""
    rising = (step + 1) / (schedule.warmup + 1)
    falling = (schedule.steps - step) / (schedule.steps - schedule.warmup)
    return schedule.lr * min(1.0, rising, falling)


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager:
    """Return a context in which matrix products on this device are bf16, or one without effect."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()


def train(
    parameters: list[nn.Parameter],
    losses: Iterable[Callable[[], tuple[Tensor, dict[str, float]]]],
    schedule: Schedule,
    history: Path,
    label: str,
    bf16: bool,
) -> dict:
    """Take schedule.steps AdamW steps and write one JSON line each to `history`: step, loss, lr, grad_norm, extras.

    losses: for each step a function that returns the scalar loss and further numbers to record. Raises InputError when
    a loss is not finite. Returns {"steps", "first_loss", "last_loss", "training_seconds"}; the two losses are means
    over the first and the last tenth.
    """
    optimizer = torch.optim.AdamW(parameters, lr=schedule.lr, betas=BETAS, weight_decay=schedule.weight_decay)
    start = shown = time.monotonic()
    rows = []
    for step, compute in enumerate(losses):
        optimizer.param_groups[0]["lr"] = learning_rate(schedule, step)
        with autocast(parameters[0].device, bf16):
            loss, extras = compute()
        value = loss.item()
        if value != value or abs(value) == float("inf"):
            raise InputError(f"{label}: the loss is {value} at step {step}; lower align's lr for this method")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, CLIP).item()
        optimizer.step()
        rows.append({"step": step, "loss": value, "lr": optimizer.param_groups[0]["lr"], "grad_norm": norm, **extras})
        if time.monotonic() - shown >= PROGRESS_SECONDS:
            shown = time.monotonic()
            left = (shown - start) / (step + 1) * (schedule.steps - step - 1)
            progress(f"{label} step {step + 1}/{schedule.steps}  loss {value:.3f}  {left:.0f} s left")
    history.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    tenth = max(1, len(rows) // 10)
    return {
        "steps": len(rows),
        "first_loss": mean([row["loss"] for row in rows[:tenth]]),
        "last_loss": mean([row["loss"] for row in rows[-tenth:]]),
        "training_seconds": round(time.monotonic() - start, 3),
    }


def mean(values: list[float]) -> float:
    """Return the arithmetic mean; 0 for no values."""
    return sum(values) / len(values) if values else 0.0


def mean_by(kinds: list[str], values: list[float]) -> dict[str, float]:
    """Return the mean of `values` for each kind, sorted by kind."""
    return {kind: mean([v for k, v in zip(kinds, values, strict=True) if k == kind]) for kind in sorted(set(kinds))}
