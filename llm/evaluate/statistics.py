"""Means with their standard errors: no figure of an evaluation stands without one."""

import math
from collections.abc import Sequence

import numpy as np


def estimate(values: Sequence[float]) -> dict:
    """Return {"value": the mean, "se": its standard error, "n"}; the error is None where a single value has none.
    Raises ValueError for no values."""
    if not len(values):
        raise ValueError("a mean of nothing")
    array = np.asarray(values, dtype=np.float64)
    return {"value": float(array.mean()), "se": error_of(array), "n": len(array)}


def error_of(values: np.ndarray) -> float | None:
    """Return the standard error of the mean of independent values; None for a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def ratio(sums: Sequence[float], weights: Sequence[float]) -> dict:
    """Return sum(sums) / sum(weights) with its standard error over independent items, by the delta method: losses of
    answers of unequal length are a mean over tokens, but it is answers that were drawn."""
    total, weight = np.asarray(sums, np.float64), np.asarray(weights, np.float64)
    value = total.sum() / weight.sum()
    error = error_of((total - value * weight) / weight.mean())
    return {"value": float(value), "se": error, "n": len(total)}


def weighted(parts: Sequence[tuple[float, Sequence[float]]]) -> dict:
    """Return sum(weight * mean) over strata with its standard error; a stratum of a single value adds none."""
    value = sum(weight * float(np.mean(values)) for weight, values in parts)
    errors = [(weight * error) ** 2 for weight, values in parts if (error := error_of(np.asarray(values))) is not None]
    return {"value": value, "se": math.sqrt(sum(errors)) if errors else None, "n": sum(len(v) for _, v in parts)}
