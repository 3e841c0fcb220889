"""The training loop of SFT, reward and DPO: AdamW, warm-up and linear decay, clipping, history.

It runs in one process without checkpoints: an adapter trains in less time than a segment of pretraining. history.jsonl
has no times, since it is part of the artifact. Losses and data come from the caller, step by step, in `losses`.
"""

import json
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from llm.align.settings.adapter import Schedule
from llm.errors import InputError
from llm.progress import progress

CLIP = 1.0
BETAS = (0.9, 0.999)
PROGRESS_SECONDS = 5.0


def learning_rate(schedule: Schedule, step: int) -> float:
    """Return the rate of step 0, 1, ...; it is never zero, not even at the first or last step."""
    rising = (step + 1) / (schedule.warmup_steps + 1)
    falling = (schedule.steps - step) / (schedule.steps - schedule.warmup_steps)
    return schedule.learning_rate * min(1.0, rising, falling)


def autocast(device: torch.device, dtype: str) -> AbstractContextManager:
    """Return a context in which matrix products on this device are bfloat16; for float32 one without effect."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if dtype == "bfloat16" else nullcontext()


def train(
    parameters: list[nn.Parameter],
    losses: Iterable[Callable[[], tuple[Tensor, dict[str, float]]]],
    schedule: Schedule,
    history: Path,
    label: str,
    dtype: str,
) -> dict:
    """Take schedule.steps AdamW steps and write one JSON line each to `history`: step, loss, lr, grad_norm, extras.

    losses: for each step a function that returns the scalar loss and further numbers to record. Raises InputError when
    a loss is not finite. Returns {"steps", "first_loss", "last_loss", "training_seconds"}; the two losses are means
    over the first and the last tenth.
    """
    optimizer = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, betas=BETAS, weight_decay=schedule.weight_decay
    )
    start = shown = time.monotonic()
    rows = []
    for step, compute in enumerate(losses):
        optimizer.param_groups[0]["lr"] = learning_rate(schedule, step)
        with autocast(parameters[0].device, dtype):
            loss, extras = compute()
        value = loss.item()
        if value != value or abs(value) == float("inf"):
            raise InputError(f"{label}: the loss is {value} at step {step}; lower align.{label}.schedule.learning_rate")
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
