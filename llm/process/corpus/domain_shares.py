"""Computes how many bytes of each domain a sampling plan holds, by weights or epochs, exactly.

A domain's worth is its bytes, each multiplied by the factor of its quality tier: what one epoch of it reads.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from llm.errors import InputError


@dataclass(frozen=True)
class Tier:
    """The documents that begin within a domain's top fraction of bytes by quality; they are read `factor` times as
    often."""

    top_fraction: float
    factor: float


@dataclass(frozen=True)
class Asked:
    """The bytes of each domain, and its share before that was rounded to bytes."""

    bytes: dict[str, int]
    shares: dict[str, Fraction]


def check_tiers(quality: list[dict]) -> list[Tier]:
    """Check process.mix.quality, a list of {top_fraction, factor} with rising fractions; return the tiers, with the
    rest, if any, at factor 1. Raises InputError for a fraction outside (0, 1] or not rising, and a factor that is not
    >= 0."""
    tiers, last = [], 0.0
    for i, entry in enumerate(quality):
        where = f"process.mix.quality[{i}]"
        if set(entry) != {"top_fraction", "factor"}:
            raise InputError(f"{where}: {entry} must say top_fraction and factor")
        if not number(entry["top_fraction"]) or not last < entry["top_fraction"] <= 1:
            raise InputError(f"{where}.top_fraction: {entry['top_fraction']!r} must be above {last:g} and at most 1")
        if not number(entry["factor"]):
            raise InputError(f"{where}.factor: {entry['factor']!r} must be a number, 0 or more")
        tiers.append(Tier(**entry))
        last = entry["top_fraction"]
    return tiers if last == 1 else [*tiers, Tier(1.0, 1.0)]


def asked_bytes(
    worth: dict[str, Fraction], weights: dict[str, float], epochs: dict[str, float], budget: int | None
) -> Asked:
    """Return the bytes of each domain, whole numbers.

    weights: see `shares`; the plan has `budget` bytes, or as many as all domains are worth. epochs: how often each
    domain is read through, 1 where it is not named; the plan's size follows. Raises InputError for both weights and
    epochs, for epochs with a budget, and for a budget that is not a positive whole number.
    """
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise InputError(
            f"process.mix.bytes: {budget!r} must be a positive whole number, or null for all training bytes"
        )
    if epochs and (weights or budget):
        raise InputError(
            f"process.mix: epochs say how much is read, and so do {'weights' if weights else 'bytes'}; take one out"
        )
    if not sum(worth.values()):
        raise InputError("process.mix.quality: the factors leave nothing to read; give a larger one")
    if not epochs:
        share = shares(weights, worth)
        return Asked(apportion(share, budget or max(1, round(sum(worth.values())))), share)
    check("epochs", epochs, worth)
    asked = {name: exactly(epochs.get(name, 1)) * size for name, size in worth.items()}
    total = sum(asked.values())
    if not total:
        raise InputError("process.mix.epochs: all epochs are 0; give at least one domain some")
    share = {name: part / total for name, part in asked.items()}
    return Asked(apportion(share, max(1, round(total))), share)


def shares(weights: dict[str, float], worth: dict[str, Fraction]) -> dict[str, Fraction]:
    """Return each domain's share of the bytes; they sum to 1 exactly.

    A named domain's share is its weight; domains without a weight divide the rest in proportion to their bytes. If all
    are named, only the ratios of their weights count. Raises InputError for an unknown domain, a weight that is not a
    finite number >= 0, and if nothing is left for the others.
    """
    check("weights", weights, worth)
    given = {domain: exactly(weight) for domain, weight in weights.items()}
    rest = {domain: size for domain, size in worth.items() if domain not in given}
    left = 1 - sum(given.values())
    if not rest:
        if not sum(given.values()):
            raise InputError("process.mix.weights: all weights are 0; give at least one domain a share")
        return {domain: given[domain] / sum(given.values()) for domain in worth}
    if left <= 0 or not sum(rest.values()):
        raise InputError(
            f"process.mix.weights: the weights sum to {float(1 - left):g}, which leaves nothing for {', '.join(rest)}; "
            "name these too (0 leaves a domain out) or make the weights sum to less than 1"
        )
    return {
        domain: given.get(domain, left * Fraction(size) / sum(rest.values()) if domain in rest else Fraction(0))
        for domain, size in worth.items()
    }


def check(what: str, given: dict[str, float], worth: dict[str, Fraction]) -> None:
    for domain, value in given.items():
        where = f"process.mix.{what}.{domain}"
        if domain not in worth:
            raise InputError(f"{where}: no such domain; known: {', '.join(worth)}")
        if not number(value):
            raise InputError(f"{where}: {value!r} must be a number, 0 or more")
        if value and not worth[domain]:
            raise InputError(f"{where}: the domain has no training bytes; set it to 0 or add documents")


def number(value: object) -> bool:
    """Is it a finite number >= 0?"""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value) and value >= 0


def exactly(value: float) -> Fraction:
    """Return the decimal that was written, not the binary fraction nearest to it."""
    return Fraction(str(value))


def apportion(share: dict, total: int) -> dict:
    """Divide `total` by `share` into whole numbers, by the largest remainder (Hamilton's method). They sum to `total`
    if the shares sum to 1."""
    exact = {name: part * total for name, part in share.items()}
    result = {name: math.floor(part) for name, part in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (result[name] - exact[name], name))
    for name in by_remainder[: round(sum(exact.values())) - sum(result.values())]:
        result[name] += 1
    return result
