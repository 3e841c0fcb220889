"""Learning rate over the steps, and which slice of the schedule a segment of training depends on. Imports no torch.

Warm-up is linear. `cosine` falls to `final_fraction` of the peak and stays there for the last `tail_steps`. `wsd`
(warm-up, stable, decay; Hu et al. 2024) stays at 1 and falls linearly over the last `decay_steps`: a segment that ends
before the decay does not know how long the run is, so a longer run extends its chain instead of starting again.
"""

import math

from llm.errors import InputError

SCHEDULES = ("cosine", "wsd")


def learning_rate_factor(step: int, schedule: dict) -> float:
    """Factor on the peak rate for update number `step`, counted from 1. `schedule` comes from `schedule_of_segment`."""
    warmup = min(1.0, step / max(1, schedule["warmup_steps"]))
    if "steps" not in schedule:
        return warmup
    final, first, last = schedule["final_fraction"], schedule["decay_from"], schedule["steps"]
    if step <= first:
        return warmup
    fraction = min(1.0, (step - first) / max(1, last - first))
    shape = fraction if schedule["kind"] == "wsd" else (1 - math.cos(math.pi * fraction)) / 2
    return warmup * (1 - (1 - final) * shape)


def schedule_of_segment(pretrain: dict, stop: int) -> dict:
    """The part of the config's `pretrain` block that the steps up to `stop` depend on."""
    steps, warmup = pretrain["steps"], pretrain["warmup_steps"]
    wsd = pretrain["schedule"] == "wsd"
    decay_from = steps - pretrain["decay_steps"] if wsd else warmup
    decay_to = steps if wsd else steps - pretrain["tail_steps"]
    slice_ = {"kind": pretrain["schedule"], "warmup_steps": warmup}
    if wsd and stop <= decay_from:
        return slice_
    return slice_ | {"decay_from": decay_from, "steps": decay_to, "final_fraction": pretrain["final_fraction"]}


def checkpoint_steps(pretrain: dict) -> list[int]:
    """The steps at which a checkpoint stands: every `checkpoint_every`, up to and including `steps`."""
    validate_pretrain(pretrain)
    return list(range(pretrain["checkpoint_every"], pretrain["steps"] + 1, pretrain["checkpoint_every"]))


def validation_of_segment(pretrain: dict, stop: int) -> int | None:
    """Validation tokens per source at the end of a segment; None, which is all of them, at the last step."""
    return None if stop == pretrain["steps"] else pretrain["validation_tokens"]


def validate_pretrain(pretrain: dict) -> None:
    """InputError, one line that begins with the config key, for a block that cannot be trained with."""
    for key in ("steps", "checkpoint_every", "batch_size", "validation_tokens"):
        require(key, pretrain, int, lambda value: value > 0, "a positive whole number")
    for key in ("warmup_steps", "decay_steps", "tail_steps"):
        require(key, pretrain, int, lambda value: value >= 0, "a whole number, zero or more")
    for key in ("learning_rate", "matrix_learning_rate", "clip_norm"):
        require(key, pretrain, (int, float), lambda value: value > 0, "a positive number")
    for key in ("weight_decay", "final_fraction"):
        require(key, pretrain, (int, float), lambda value: 0 <= value <= 1, "a number between 0 and 1")
    require("schedule", pretrain, str, SCHEDULES.__contains__, f"one of {', '.join(SCHEDULES)}")
    require("optimizer", pretrain, str, ("adamw", "muon").__contains__, "one of adamw, muon")
    require("dtype", pretrain, str, ("bfloat16", "float32").__contains__, "one of bfloat16, float32")
    steps, every = pretrain["steps"], pretrain["checkpoint_every"]
    if steps % every:
        raise InputError(
            f"pretrain.steps: {steps} is not a multiple of pretrain.checkpoint_every: {every}; "
            "the last checkpoint has to be the last step"
        )
    last = "decay_steps" if pretrain["schedule"] == "wsd" else "tail_steps"
    if pretrain["warmup_steps"] + pretrain[last] > steps:
        raise InputError(
            f"pretrain.{last}: {pretrain[last]} and pretrain.warmup_steps: {pretrain['warmup_steps']} "
            f"together exceed pretrain.steps: {steps}"
        )


def require(key: str, section: dict, kind: type | tuple[type, ...], holds, what: str) -> None:
    if key not in section:
        raise InputError(f"pretrain.{key} is missing; add it to the config's pretrain block")
    value = section[key]
    if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
        raise InputError(f"pretrain.{key}: {value!r} is not {what}")
