"""Estimates what failures cost a long run and how often to save. Failures count as independent and memoryless."""

import math

# Dubey et al. 2024 (Llama 3), section 3.3.4: 419 unexpected interruptions in 54 days on 16,384 GPUs.
LLAMA3_GPU_HOURS_PER_FAILURE = 16384 * 54 * 24 / 419


def mean_time_between(gpus: int, gpu_hours_per_failure: float = LLAMA3_GPU_HOURS_PER_FAILURE) -> float:
    """Return the seconds between failures of the whole job; a failure of one GPU (or of its part of the node) stops
    it."""
    return gpu_hours_per_failure * 3600 / gpus


def young(save: float, between: float) -> float:
    """Return the seconds of work between two saves: sqrt(2 save between) (Young 1974).

    `save`: seconds that training waits for a save; `between`: mean seconds between failures.
    """
    return math.sqrt(2 * save * between)


def daly(save: float, between: float) -> float:
    """Return the seconds of work between two saves by Daly's higher-order estimate (2006, eq. 37).

    It is `between` if a save takes twice `between` or longer.
    """
    if save >= 2 * between:
        return between
    ratio = save / (2 * between)
    return math.sqrt(2 * save * between) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def lost_fraction(interval: float, save: float, restart: float, between: float) -> float:
    """Return the expected share of the wall time that makes no progress, exact for exponential failures.

    T / T_work = between e^(restart/between) (e^((interval + save)/between) - 1) / interval (Daly 2006, eq. 20). All
    arguments are in seconds. The share is 1.0 if the machine fails faster than it can save.
    """
    exponent = (interval + save) / between
    if exponent > 500 or restart / between > 500:
        return 1.0
    slowdown = between * math.exp(restart / between) * math.expm1(exponent) / interval
    return 1 - 1 / slowdown
