"""Cuts the run that the config's `pretrain` block describes into segments, and makes the slice that each depends on.

A segment that ends before the decay of `wsd` does not depend on the run's length, so a longer run extends its chain
instead of starting again. Only the rules use this module: it is in no job's key, the slices are. It imports no torch.
"""

from dataclasses import dataclass
from typing import Literal

from llm.errors import InputError
from llm.pretrain.settings import SegmentSettings, StepSettings
from llm.settings import key, slice_of
from llm.training.engines.layout import Layout
from llm.training.settings import Limits


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long a run is, and in which pieces."""

    steps: int = key(4350, minimum=1)
    """Optimizer steps in all."""
    checkpoint_every: int = key(1450, minimum=1)
    """Steps in a segment, which is what a crash costs at most; divides steps."""


@dataclass(frozen=True, kw_only=True)
class Pretrain(Limits, StepSettings, Length):
    """Stage 5. Pretraining in chained segments: docs/pretrain.md."""

    beta2: float = key(0.99, exclusiveMinimum=0, maximum=0.9999)
    """AdamW's decay of the squared gradient's mean; beta1 is 0.9. Small batches ask for a longer mean."""
    parallel: Layout = key(Layout(data=2))
    """How the work is laid over ranks, see docs/pretrain.md."""
    schedule: Literal["cosine", "wsd"] = key("wsd")
    """wsd: warm-up, stable, linear decay; cosine: falls from the warm-up on."""
    warmup_steps: int = key(20, minimum=0)
    """The first steps, in which the rate rises linearly."""
    decay_steps: int = key(2800, minimum=0)
    """The last steps of wsd, in which the rate falls."""
    tail_steps: int = key(0, minimum=0, shown=False)
    """The last steps of cosine, at final_fraction."""
    final_fraction: float = key(0.0, minimum=0, maximum=1)
    """Of the peak rate, where the decay ends: after the last step."""
    validation_tokens: int = key(8192, minimum=1, shown=False)
    """Of each source, scored between segments; at the last step all."""
    nodes: int = key(1, minimum=1, shown=False)
    """Machines of a cluster that share the ranks evenly; in no key, and without a cluster all ranks run here."""


def checkpoint_steps(pretrain: dict, on_grid: int = 0) -> list[int]:
    """Return the steps that have a checkpoint: every `checkpoint_every`, up to and including `steps`, and where the
    last `on_grid` steps begin, which are segments of their own. Raises InputError, one line that begins with the config
    key, where the keys contradict each other."""
    steps, every = pretrain["steps"], pretrain["checkpoint_every"]
    last = "decay_steps" if pretrain["schedule"] == "wsd" else "tail_steps"
    if steps % every:
        raise InputError(
            f"pretrain.steps: {steps} is not a multiple of pretrain.checkpoint_every: {every}, and the last checkpoint "
            f"has to be the last step; write {fitting(pretrain, last)}"
        )
    if pretrain["warmup_steps"] + pretrain[last] > steps:
        raise InputError(
            f"pretrain.{last}: {pretrain[last]} and pretrain.warmup_steps: {pretrain['warmup_steps']} "
            f"together exceed pretrain.steps: {steps}; write {fitting(pretrain, last)}"
        )
    return sorted({*range(every, steps + 1, every), steps - on_grid} - {0})


def fitting(pretrain: dict, last: str) -> str:
    """Return keys that fit `steps`, as yaml: as few segments as before, or one, and a schedule of the same shape."""
    steps, every = pretrain["steps"], pretrain["checkpoint_every"]
    segment = every if steps % every == 0 else max(n for n in range(1, min(every, steps) + 1) if steps % n == 0)
    if segment * 10 < min(every, steps):  # a prime number of steps has no segments worth having
        segment = steps
    keys = {"steps": steps, "checkpoint_every": segment}
    if pretrain["warmup_steps"] + pretrain[last] > steps:
        keys |= {"warmup_steps": min(pretrain["warmup_steps"], steps // 10), last: min(pretrain[last], steps // 2)}
    return f"pretrain: {{{', '.join(f'{name}: {value}' for name, value in keys.items())}}}"


def segment_slice(pretrain: dict, seed: int, start: int, stop: int, **more: object) -> dict:
    """Return the slice for scripts/pretrain/pretrain.py of the segment from after step `start` to `stop`, or for qat.py
    with `more` beside it."""
    tokens = None if stop == pretrain["steps"] else pretrain["validation_tokens"]
    found = {"start": start, "stop": stop, "schedule": schedule_of(pretrain, stop), "validation_tokens": tokens}
    return slice_of(SegmentSettings, pretrain, **found, **more, seed=seed)


def schedule_of(pretrain: dict, stop: int) -> dict:
    """Return what the steps up to `stop` depend on of the schedule: fields of llm/pretrain/settings.py's Schedule."""
    steps, warmup = pretrain["steps"], pretrain["warmup_steps"]
    wsd = pretrain["schedule"] == "wsd"
    decay_from = steps - pretrain["decay_steps"] if wsd else warmup
    decay_to = steps if wsd else steps - pretrain["tail_steps"]
    found = {"kind": pretrain["schedule"], "warmup_steps": warmup}
    if wsd and stop <= decay_from:
        return found
    return found | {"decay_from": decay_from, "steps": decay_to, "final_fraction": pretrain["final_fraction"]}
