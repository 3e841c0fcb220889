"""Turns domain weights or epochs into an exact sampling plan: which training documents to read, in which order, how
often.

The documents of a domain fall into tiers of quality (one, if none are asked for), and each tier is read for its share
of bytes: whole epochs, each in its own order, then the beginning of one more. So a document is used floor or ceil of
its tier's epochs times. The order is by hashes of (seed, source, document, epoch): it does not depend on the order of
sources, nor a source's own order on other sources. Tiers and domains are interleaved evenly, so the beginning of the
plan has the same shares as the whole. Shares are of bytes; tokens are known later (scripts/tokenize/mix_tokens). Each
domain's size is computed in llm/process/corpus/domain_shares.py. Texts are never read: a use takes 150 bytes of memory.
"""

import hashlib
from fractions import Fraction

import numpy as np
import polars as pl

from llm.errors import InputError
from llm.process.corpus.domain_shares import Tier, apportion, asked_bytes, check_tiers, exactly


def sampling_plan(
    documents: pl.DataFrame,
    *,
    weights: dict[str, float],
    epochs: dict[str, float],
    quality: list[dict],
    budget: int | None,
    seed: int,
) -> tuple[pl.DataFrame, dict]:
    """Return the plan (source String, document UInt32, bytes UInt32; one row per use, in sampling order) and the
    report.

    documents: source, document (its index among the source's training documents), domain, bytes, quality (read only if
    tiers are given). weights, epochs, budget: see `asked_bytes`. quality: see `check_tiers`. Raises InputError for no
    documents.
    """
    if documents.is_empty() or not documents["bytes"].sum():
        raise InputError("mix: there are no training documents; lower process.validation_fraction or add documents")
    tiers = check_tiers(quality)
    domains = {
        name: tiers_of(documents.filter(pl.col("domain") == name).sort("source", "document"), tiers, seed)
        for name in sorted(documents["domain"].unique().to_list())
    }
    worth = {name: [exactly(tier.factor) * size_of(own) for tier, own in found] for name, found in domains.items()}
    asked = asked_bytes({name: sum(parts, Fraction(0)) for name, parts in worth.items()}, weights, epochs, budget)
    total = sum(asked.bytes.values())
    pieces, lines = [], {}
    for name, found in domains.items():
        whole = sum(worth[name])
        due = apportion(
            {i: part / whole if whole else Fraction(0) for i, part in enumerate(worth[name])}, asked.bytes[name]
        )
        used = []
        for i, (_, own) in enumerate(found):
            rows = own.select("source", "document", "bytes")[uses(own, due[i], seed)]
            middle = rows["bytes"].cum_sum() - rows["bytes"] / 2
            used.append(rows.with_columns(position=middle / max(size_of(rows), 1)))
        lines[name] = account(found, used, due)
        lines[name]["asked_share"] = round(float(asked.shares[name]), 6)
        pieces += used
    plan = pl.concat(pieces).sort("position", maintain_order=True)  # ties are in the order of domain, tier and use
    achieved = size_of(plan)
    for line in lines.values():
        line["achieved_share"] = round(line["bytes"] / max(achieved, 1), 6)
    report = {"bytes": {"asked": total, "achieved": achieved}, "uses": len(plan), "domains": lines}
    return plan.select(
        pl.col("source").cast(pl.String), *(pl.col(n).cast(pl.UInt32) for n in ("document", "bytes"))
    ), report


def tiers_of(documents: pl.DataFrame, tiers: list[Tier], seed: int) -> list[tuple[Tier, pl.DataFrame]]:
    """Return one domain's documents by tier, best first. A tier holds those that begin within its top fraction of the
    domain's bytes by falling quality (ties by hash) and in no better tier. Unknown quality counts as worst."""
    if len(tiers) == 1:
        return [(tiers[0], documents)]
    if documents["quality"].null_count() == len(documents):
        raise InputError(
            f"process.mix.quality: no document of domain {documents['domain'][0]} has a quality score; leave it empty, "
            "or have the documents scored"
        )
    order = np.lexsort((hashes(documents, 0, seed), -documents["quality"].fill_null(-1.0).to_numpy()))
    size = documents["bytes"].to_numpy().astype(np.int64)[order]
    before = np.cumsum(size) - size
    found, begin = [], 0
    for tier in tiers:
        end = int(np.searchsorted(before, float(exactly(tier.top_fraction) * int(size.sum()))))
        end = len(order) if tier is tiers[-1] else end
        found.append((tier, documents[np.sort(order[begin:end])]))
        begin = end
    return found


def account(found: list[tuple[Tier, pl.DataFrame]], used: list[pl.DataFrame], due: dict[int, int]) -> dict:
    """Return the report's lines about a domain, and about its tiers if there are several."""
    lines = []
    for i, ((tier, own), uses_) in enumerate(zip(found, used, strict=True)):
        there, read = size_of(own), size_of(uses_)
        line = {"top_fraction": tier.top_fraction, "factor": tier.factor, "asked_bytes": due[i], "bytes": read}
        line |= {"available_bytes": there, "available_documents": len(own), "uses": len(uses_)}
        lines.append(line | {"epochs": round(read / there, 6) if there else 0.0})
    names = [name for name in lines[0] if name not in ("top_fraction", "factor", "epochs")]
    total = {name: sum(line[name] for line in lines) for name in names}
    total["epochs"] = round(total["bytes"] / total["available_bytes"], 6) if total["available_bytes"] else 0.0
    total["documents"] = sum(
        min(line["uses"], line["available_documents"]) for line in lines
    )  # whole epochs come first
    by_source = pl.concat(rows.group_by(pl.col("source").cast(pl.String)).agg(pl.sum("bytes")) for rows in used)
    sources = dict(by_source.group_by("source").agg(pl.sum("bytes")).sort("source").iter_rows())
    return {**total, "sources": sources, **({"tiers": lines} if len(lines) > 1 else {})}


def size_of(documents: pl.DataFrame) -> int:
    return int(documents["bytes"].sum())


def uses(documents: pl.DataFrame, asked: int, seed: int) -> np.ndarray:
    """Return the rows of one tier's documents in the order of use: i64 [n_uses]. Whole epochs are followed by the
    beginning of one more, which ends as close to `asked` bytes as a document's end allows."""
    size = documents["bytes"].to_numpy().astype(np.int64)
    if not size.sum():
        return np.zeros(0, dtype=np.int64)
    epochs, rest = divmod(asked, int(size.sum()))
    orders = [np.argsort(hashes(documents, epoch, seed), kind="stable") for epoch in range(epochs + 1)]
    ends = np.concatenate([[0], np.cumsum(size[orders[-1]])])
    orders[-1] = orders[-1][: int(np.argmin(np.abs(ends - rest)))]
    return np.concatenate(orders)


def hashes(documents: pl.DataFrame, epoch: int, seed: int) -> np.ndarray:
    """Return the keys that order the documents in an epoch: u64 [n]."""
    key = np.zeros(len(documents), dtype=np.uint64)
    for name in documents["source"].unique().to_list():
        digest = hashlib.sha256(f"{seed}:{epoch}:{name}".encode()).digest()
        key[(documents["source"] == name).to_numpy()] = int.from_bytes(digest[:8], "big")
    return mix64(mix64(key + documents["document"].to_numpy().astype(np.uint64)))


def mix64(x: np.ndarray) -> np.ndarray:
    """Apply splitmix64's finalizer (Stafford's variant 13), elementwise on u64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
