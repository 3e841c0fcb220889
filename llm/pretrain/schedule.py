"""Computes the learning rate over the steps. It imports no torch.

Warm-up is linear. `cosine` falls to `final_fraction` of the peak and stays there. `wsd` (warm-up, stable, decay; Hu et
al. 2024) stays at 1 and falls linearly over the last steps. `final_fraction` is what a step after the decay would have,
so that no step is lost where it is 0.
"""

import math

from llm.pretrain.settings import Schedule


def learning_rate_factor(step: int, schedule: Schedule) -> float:
    """Return the factor on the peak rate for update number `step`, counted from 1."""
    warmup = min(1.0, step / max(1, schedule.warmup_steps))
    if schedule.steps is None or step <= schedule.decay_from:
        return warmup
    span = schedule.steps - schedule.decay_from
    fraction = min(1.0, (step - 1 - schedule.decay_from) / span) if span else 1.0
    shape = fraction if schedule.kind == "wsd" else (1 - math.cos(math.pi * fraction)) / 2
    return warmup * (1 - (1 - schedule.final_fraction) * shape)
