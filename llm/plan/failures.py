"""What failures cost a long run, and how often to save. Failures are taken as independent and memoryless."""

import math

# Dubey et al. 2024 (Llama 3), section 3.3.4: 419 unexpected interruptions in 54 days on 16,384 GPUs.
LLAMA3_GPU_HOURS_PER_FAILURE = 16384 * 54 * 24 / 419


def mean_time_between(gpus: int, gpu_hours_per_failure: float = LLAMA3_GPU_HOURS_PER_FAILURE) -> float:
    """Seconds between failures of the whole job: any one GPU (with its share of the node) stops all."""
    return gpu_hours_per_failure * 3600 / gpus


def young(save: float, between: float) -> float:
    """sqrt(2 save between): seconds of work between two saves (Young 1974). `save`: seconds that training waits."""
    return math.sqrt(2 * save * between)


def daly(save: float, between: float) -> float:
    """Daly's (2006, eq. 37) higher-order estimate of the same; `between` itself if saving takes 2 between or more."""
    if save >= 2 * between:
        return between
    ratio = save / (2 * between)
    return math.sqrt(2 * save * between) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def lost_fraction(interval: float, save: float, restart: float, between: float) -> float:
    """Share of the wall time that is no progress, expected exactly for exponential failures (Daly 2006, eq. 20).

    T / T_work = between e^(restart/between) (e^((interval + save)/between) - 1) / interval. All in seconds. 1.0 where
    the machine fails faster than it can save.
    """
    exponent = (interval + save) / between
    if exponent > 500 or restart / between > 500:
        return 1.0
    slowdown = between * math.exp(restart / between) * math.expm1(exponent) / interval
    return 1 - 1 / slowdown
