"""Which documents stay, which personal data is replaced, and which half of the split a document belongs to.

Reads the annotations, computes no signal itself. Each dropped document has exactly one reason, the first that applies
of `empty`, `exact_duplicate`, `near_duplicate`, then `<signal>_in`, `<signal>_min`, `<signal>_max` in the order of the
signals (language, language_score, then llm.text.signals.SIGNALS), then `pii_<kind>`. A value equal to a bound stays.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass

import polars as pl

from llm.errors import InputError
from llm.text.pii import KINDS, Span, redact, spans
from llm.text.signals import SIGNALS

FILTERED = ("language", "language_score", *SIGNALS)
BOUNDS = {"in": list, "min": (int, float), "max": (int, float)}
ACTIONS = ("redact", "drop", "report")
PII_KINDS = tuple(kind.name for kind in KINDS)
COLUMNS = ("id", "text", "title", "url", "source", "domain", "license", "language", "cluster", "split")
FALLBACK = 8  # a source of so many documents has at least one for validation


@dataclass(frozen=True)
class Rules:
    """thresholds: {signal: {"in": [...], "min": x, "max": y}}; pii: {kind: one of ACTIONS}; `resolve` checks both."""

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
    """The rules for a source's documents: `overrides` of its domain replace single bounds of `thresholds`; a signal or
    a bound set to null does not filter. Unknown signal, bound, kind or action, or a wrong type: InputError."""
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
                raise InputError(f"{where}.{signal}.{name}: `in` is for language, `min` and `max` are for the numbers")
            if value is not None and (not isinstance(value, BOUNDS[name]) or isinstance(value, bool)):
                raise InputError(f"{where}.{signal}.{name}: {value!r} has the wrong type")


def clean(documents: pl.DataFrame, annotations: pl.DataFrame, duplicates: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """One row per document in the order given: COLUMNS without `split`, `reason` (null: kept), `redacted` and
    `reported` (lists of kinds, one entry per span; filled for kept documents only). Tables that do not match by id:
    InputError."""
    for name, table in (("annotations", annotations), ("duplicates", duplicates)):
        if not table["id"].equals(documents["id"]):
            raise InputError(f"{name} do not list the same documents as the raw shard; rebuild them")
    reasons = pl.concat([annotations, duplicates.drop("id")], how="horizontal").select(reason=reason(rules))["reason"]
    texts, titles, redacted, reported = [], [], [], []
    for text, title, found, dropped_for in zip(
        documents["text"].to_list(),
        documents["title"].to_list(),
        annotations["pii"].to_list(),
        reasons.to_list(),
        strict=True,
    ):
        spared = dropped_for is not None
        hidden = [] if spared else [Span(**span) for span in found if rules.pii.get(span["kind"]) == "redact"]
        texts.append(redact(text, hidden) if hidden else text)
        titles.append(without_pii(title, rules))
        redacted.append([span.kind for span in hidden])
        reported.append([] if spared else [span["kind"] for span in found if rules.pii.get(span["kind"]) == "report"])
    return documents.select("id", "url", "source", "domain", "license").with_columns(
        annotations["language"],
        duplicates["cluster"],
        text=pl.Series(texts, dtype=pl.String),
        title=pl.Series(titles, dtype=pl.String),
        reason=reasons,
        redacted=pl.Series(redacted, dtype=pl.List(pl.String)),
        reported=pl.Series(reported, dtype=pl.List(pl.String)),
    )


def without_pii(title: str | None, rules: Rules) -> str | None:
    """A title is not annotated, but it becomes text later (a question about it, say)."""
    if title is None:
        return None
    return redact(title, [span for span in spans(title) if rules.pii.get(span.kind) in ("redact", "drop")])


def reason(rules: Rules) -> pl.Expr:
    """The first reason to drop a document, as a string; null to keep it."""
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
        if "max" in bounds:
            tests.append((pl.col(signal) > bounds["max"], f"{signal}_max"))
    for kind in PII_KINDS:
        if rules.pii.get(kind) == "drop":
            tests.append((pl.col("pii").list.eval(pl.element().struct.field("kind") == kind).list.any(), f"pii_{kind}"))
    return pl.coalesce(*(pl.when(test).then(pl.lit(name)) for test, name in tests))


def splits(clusters: list[str], rules: Rules) -> list[str]:
    """ "train" or "validation" for each kept document of a source, by a hash of its cluster and the seed.

    A cluster has one kept document and the hash knows nothing else, so no near-duplicate of a validation document is in
    training, and a document stays on its side when others come and go. Where chance leaves a source of FALLBACK or more
    documents without any for validation, the one of the smallest hash goes there.
    """
    if not rules.validation_fraction:
        return ["train"] * len(clusters)
    draws = [
        int.from_bytes(hashlib.sha256(f"{rules.seed}:{cluster}".encode()).digest()[:8], "big") for cluster in clusters
    ]
    limit = int(rules.validation_fraction * (1 << 64))
    if len(draws) >= FALLBACK:
        limit = max(limit, min(draws) + 1)
    return ["validation" if draw < limit else "train" for draw in draws]


def counts(table: pl.DataFrame) -> dict:
    """The metrics of a source's table (of `clean`, with `split`): documents and bytes in and out, drops by reason, PII.

    Documents that are neither kept nor dropped, a defect: RuntimeError. None kept: InputError that names the reasons.
    """
    kept = table.filter(pl.col("reason").is_null())
    size = table["text"].str.len_bytes().cast(pl.Int64)
    dropped = Counter(table["reason"].drop_nulls().to_list())
    if len(kept) + sum(dropped.values()) != len(table):
        raise RuntimeError(f"{len(table)} documents in, {len(kept)} kept and {sum(dropped.values())} dropped")
    if kept.is_empty():
        source = table["source"][0] if len(table) else "?"
        most = ", ".join(f"{name} ({n})" for name, n in dropped.most_common(3)) or "there were none to begin with"
        raise InputError(
            f"source {source}: all {len(table)} documents are dropped, most by {most}; "
            "loosen process.thresholds or process.overrides.<domain>, or take the source out of `corpus`"
        )
    by_split = kept.group_by("split").agg(documents=pl.len(), bytes=pl.col("text").str.len_bytes().cast(pl.Int64).sum())
    return {
        "documents_in": len(table),
        "documents_out": len(kept),
        "bytes_in": int(size.sum()),
        "bytes_out": int(kept["text"].str.len_bytes().cast(pl.Int64).sum()),
        "dropped": dict(sorted(dropped.items())),
        "dropped_bytes": {name: int(size.filter(table["reason"] == name).sum()) for name in sorted(dropped)},
        "redacted": dict(sorted(Counter(kept["redacted"].explode().drop_nulls().to_list()).items())),
        "reported": dict(sorted(Counter(kept["reported"].explode().drop_nulls().to_list()).items())),
        "splits": {
            row["split"]: {"documents": row["documents"], "bytes": row["bytes"]}
            for row in by_split.sort("split").iter_rows(named=True)
        },
    }
