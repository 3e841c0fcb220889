"""Decides why a document is dropped: thresholds on its signals, duplicates, personal data.

A dropped document has exactly one reason, the first that applies of `empty`, `exact_duplicate`, `near_duplicate`, then
`<signal>_<bound>` in the order of FILTERED and BOUNDS, then `pii_<kind>`. A value equal to `min` or `max` stays, one
equal to `above` or `below` does not; an unknown value (null) stays.
"""

from dataclasses import dataclass

import polars as pl

from llm.errors import InputError
from llm.process.pii.find import KINDS
from llm.process.quality.signal_names import FILTERED

NUMBER = (int, float)
BOUNDS: dict[str, type | tuple[type, ...]] = {
    "in": list,
    "min": NUMBER,
    "above": NUMBER,
    "max": NUMBER,
    "below": NUMBER,
}
ACTIONS = ("redact", "drop", "report")
PII_KINDS = tuple(dict.fromkeys([*(kind.name for kind in KINDS), "name"]))


@dataclass(frozen=True)
class Rules:
    """The rules of a source. thresholds: {signal: {bound of BOUNDS: value}}; pii: {kind: one of ACTIONS}; `resolve`
    checks both."""

    thresholds: dict[str, dict]
    pii: dict[str, str]
    validation_fraction: float
    seed: int


def resolve(
    thresholds: dict[str, dict | None],
    overrides: dict[str, dict | None],
    pii: dict[str, str],
    validation_fraction: float,
    seed: int,
) -> Rules:
    """Return the rules for a source's documents: `overrides` of its domain replace single bounds of `thresholds`; a
    signal or a bound set to null does not filter. Raises InputError for an unknown signal, bound, kind or action, or a
    wrong type."""
    for where, given in (("process.thresholds", thresholds), ("process.overrides.<domain>", overrides)):
        check_thresholds(where, given)
    if unknown := sorted(set(pii) - set(PII_KINDS)):
        raise InputError(f"process.pii.{unknown[0]}: no such kind; known: {', '.join(PII_KINDS)}")
    for kind, action in pii.items():
        if action not in ACTIONS:
            raise InputError(f"process.pii.{kind}: {action!r} is no action; use one of {', '.join(ACTIONS)}")
    if (
        isinstance(validation_fraction, bool)
        or not isinstance(validation_fraction, (int, float))
        or not 0 <= validation_fraction < 1
    ):
        raise InputError(f"process.validation_fraction: {validation_fraction!r} must be a number from 0 to below 1")
    merged = {}
    for signal in FILTERED:
        if signal in overrides and overrides[signal] is None:
            continue
        bounds = {**(thresholds.get(signal) or {}), **(overrides.get(signal) or {})}
        if bounds := {name: value for name, value in bounds.items() if value is not None}:
            merged[signal] = bounds
    return Rules(merged, pii, validation_fraction, seed)


def check_thresholds(where: str, given: dict[str, dict | None]) -> None:
    for signal, bounds in given.items():
        if signal not in FILTERED:
            raise InputError(f"{where}.{signal}: no such signal; known: {', '.join(FILTERED)}")
        for name, value in (bounds or {}).items():
            if name not in BOUNDS:
                raise InputError(f"{where}.{signal}.{name}: no such bound; use {', '.join(BOUNDS)}")
            if name == "in" and signal != "language" or name != "in" and signal == "language":
                raise InputError(f"{where}.{signal}.{name}: `in` is for language, the others are for the numbers")
            if value is not None and (not isinstance(value, BOUNDS[name]) or isinstance(value, bool)):
                raise InputError(f"{where}.{signal}.{name}: {value!r} has the wrong type")


def reason(rules: Rules) -> pl.Expr:
    """Return the first reason to drop a document, as a string expression; null to keep it. It needs the columns
    n_words, keep, reason, pii and those of the signals in `rules`."""
    tests = [
        (pl.col("n_words") == 0, "empty"),
        (~pl.col("keep") & (pl.col("reason") == "exact"), "exact_duplicate"),
        (~pl.col("keep"), "near_duplicate"),
    ]
    for signal, bounds in rules.thresholds.items():  # `resolve` put them in order
        if "in" in bounds:
            tests.append((~pl.col(signal).is_in(bounds["in"]), f"{signal}_in"))
        if "min" in bounds:
            tests.append((pl.col(signal) < bounds["min"], f"{signal}_min"))
        if "above" in bounds:
            tests.append((pl.col(signal) <= bounds["above"], f"{signal}_above"))
        if "max" in bounds:
            tests.append((pl.col(signal) > bounds["max"], f"{signal}_max"))
        if "below" in bounds:
            tests.append((pl.col(signal) >= bounds["below"], f"{signal}_below"))
    for kind in PII_KINDS:
        if rules.pii.get(kind) == "drop":
            tests.append((pl.col("pii").list.eval(pl.element().struct.field("kind") == kind).list.any(), f"pii_{kind}"))
    return pl.coalesce(*(pl.when(test).then(pl.lit(name)) for test, name in tests))
