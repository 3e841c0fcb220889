"""Domain weights to an exact sampling plan: which training documents to read, in which order, how often.

A domain's weight is its share of the bytes. Domains read more than once go through whole epochs, each in an order of
its own, so a document is used floor or ceil of the epochs times. The order is by hashes of (seed, source, document,
epoch): it does not depend on the order of sources, nor a source's own order on other sources. The domains are
interleaved evenly, so the beginning of the plan has the same shares as the whole. Shares are of bytes, not of tokens.
"""

import hashlib
import math
from fractions import Fraction

import numpy as np
import polars as pl

from kernels.minhash import mix64
from llm.errors import InputError


def sampling_plan(
    documents: pl.DataFrame, *, weights: dict[str, float], budget: int | None, seed: int
) -> tuple[pl.DataFrame, dict]:
    """The plan (source String, document UInt32; one row per use, in sampling order) and the report.

    documents: source, document (its index among the source's training documents), domain, bytes.
    weights: see `shares`. budget: bytes of the plan; None: as many as there are. No documents, or a budget that is not
    a positive whole number: InputError.
    """
    if documents.is_empty() or not documents["bytes"].sum():
        raise InputError("mix: there are no training documents; lower process.validation_fraction or add documents")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise InputError(
            f"process.mix.bytes: {budget!r} must be a positive whole number, or null for all training bytes"
        )
    available = bytes_by(documents, "domain")
    share = shares(weights, available)
    asked = apportion(share, budget or sum(available.values()))
    parts = []
    report: dict = {"bytes": {"asked": sum(asked.values())}, "domains": {}}
    for domain, size in available.items():
        own = documents.filter(pl.col("domain") == domain).sort("source", "document")
        order = uses(own, asked[domain], seed)
        used = own[order]
        achieved = int(used["bytes"].sum())
        middle = used["bytes"].cum_sum() - used["bytes"] / 2
        parts.append(used.with_columns(position=middle / max(achieved, 1), domain_order=pl.int_range(len(used))))
        report["domains"][domain] = {
            "asked_share": round(float(share[domain]), 6),
            "asked_bytes": asked[domain],
            "bytes": achieved,
            "available_bytes": size,
            "available_documents": len(own),
            "documents": int(used.select(pl.struct("source", "document").n_unique()).item()) if len(used) else 0,
            "uses": len(used),
            "epochs": round(achieved / size, 6) if size else 0.0,
            "sources": bytes_by(used, "source"),
        }
    plan = pl.concat(parts).sort("position", "domain", "domain_order")
    total = int(plan["bytes"].sum())
    for line in report["domains"].values():
        line["achieved_share"] = round(line["bytes"] / max(total, 1), 6)
    report["bytes"]["achieved"] = total
    report["uses"] = len(plan)
    return plan.select("source", pl.col("document").cast(pl.UInt32)), report


def bytes_by(documents: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(documents.group_by(column).agg(pl.col("bytes").sum()).sort(column).iter_rows())


def shares(weights: dict[str, float], available: dict[str, int]) -> dict[str, Fraction]:
    """Each domain's share of the bytes; they sum to 1 exactly.

    A named domain's share is its weight, and those without a weight divide what is left as they divide the bytes there
    are. If all are named, their weights need not sum to 1: only their ratios count. Unknown domain, a weight that is
    not a finite number >= 0, nothing left for the others: InputError.
    """
    for domain, weight in weights.items():
        if domain not in available:
            raise InputError(f"process.mix.weights.{domain}: no such domain; known: {', '.join(available)}")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight) or weight < 0:
            raise InputError(f"process.mix.weights.{domain}: {weight!r} must be a number, 0 or more")
        if weight and not available[domain]:
            raise InputError(
                f"process.mix.weights.{domain}: the domain has no training bytes; set it to 0 or add documents"
            )
    given = {domain: Fraction(str(weight)) for domain, weight in weights.items()}
    rest = {domain: size for domain, size in available.items() if domain not in given}
    left = 1 - sum(given.values())
    if not rest:
        if not sum(given.values()):
            raise InputError("process.mix.weights: all weights are 0; give at least one domain a share")
        return {domain: given[domain] / sum(given.values()) for domain in available}
    if left <= 0 or not sum(rest.values()):
        raise InputError(
            f"process.mix.weights: the weights sum to {float(1 - left):g}, which leaves nothing for {', '.join(rest)}; "
            "name these too (0 leaves a domain out) or make the weights sum to less than 1"
        )
    return {
        domain: given.get(domain, left * Fraction(size, sum(rest.values())) if domain in rest else 0)
        for domain, size in available.items()
    }


def apportion(share: dict[str, Fraction], total: int) -> dict[str, int]:
    """`total` divided by `share` into whole numbers that sum to it, by the largest remainder (Hamilton's method)."""
    exact = {domain: part * total for domain, part in share.items()}
    result = {domain: math.floor(part) for domain, part in exact.items()}
    by_remainder = sorted(exact, key=lambda domain: (result[domain] - exact[domain], domain))
    for domain in by_remainder[: total - sum(result.values())]:
        result[domain] += 1
    return result


def uses(documents: pl.DataFrame, asked: int, seed: int) -> np.ndarray:
    """Rows of one domain's documents in the order of use: i64 [n_uses]. Whole epochs, then the beginning of one more,
    whose end comes as close to `asked` bytes as a document's end can."""
    size = documents["bytes"].to_numpy().astype(np.int64)
    if not size.sum():
        return np.zeros(0, dtype=np.int64)
    epochs, rest = divmod(asked, int(size.sum()))
    orders = [shuffled(documents, epoch, seed) for epoch in range(epochs + 1)]
    ends = np.concatenate([[0], np.cumsum(size[orders[-1]])])
    orders[-1] = orders[-1][: int(np.argmin(np.abs(ends - rest)))]
    return np.concatenate(orders)


def shuffled(documents: pl.DataFrame, epoch: int, seed: int) -> np.ndarray:
    """A permutation of the rows: i64 [n]."""
    names = documents["source"].unique().to_list()
    keys = {
        name: int.from_bytes(hashlib.sha256(f"{seed}:{epoch}:{name}".encode()).digest()[:8], "big") for name in names
    }
    key = documents["source"].replace_strict(keys, return_dtype=pl.UInt64).to_numpy()
    return np.argsort(mix64(mix64(key + documents["document"].to_numpy().astype(np.uint64))), kind="stable")
