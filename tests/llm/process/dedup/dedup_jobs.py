"""Deduplication as the rules run it, job after job, for tests and benchmarks."""

import hashlib
from dataclasses import fields
from pathlib import Path

import polars as pl

from llm.io import parquet
from llm.process.settings.candidates import CandidatesSettings
from llm.process.settings.edges import EdgesSettings
from llm.process.settings.minhash import MinhashSettings
from scripts.process import candidates, deduplicate, edges, minhash


def write_raw(directory: Path, ids: list[str], texts: list[str], per_part: int = 1 << 30) -> Path:
    """What of raw shards deduplication reads: id, text, sha256."""
    directory.mkdir(parents=True)
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    frame = pl.DataFrame(
        {"id": ids, "text": texts, "sha256": digests}, schema=dict.fromkeys(["id", "text", "sha256"], pl.String)
    )
    for i, begin in enumerate(range(0, max(len(ids), 1), per_part)):
        parquet.write(frame[begin : begin + per_part], directory / f"part-{i:05d}.parquet")
    return directory


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def deduplicated(
    directory: Path, sources: list[Path], ranges: int = 1, scores: list[Path] | None = None, **options: float
) -> tuple[pl.DataFrame, dict]:
    """The verdicts on all sources' documents, in order, and the counts of all jobs."""
    takes = {"minhash": MinhashSettings, "candidates": CandidatesSettings, "edges": EdgesSettings}
    chosen = {
        name: {each.name: options[each.name] for each in fields(kind) if each.name in options}
        for name, kind in takes.items()
    }
    numbers = range(ranges)
    facts = [made(directory / f"facts/{i}") for i in range(len(sources))]
    keys = [[made(directory / f"keys/{i}/{k}") for k in numbers] for i in range(len(sources))]
    counts: dict = {}
    for raw, known, spread in zip(sources, facts, keys, strict=True):
        counts |= minhash.main(raw, known, spread, settings=MinhashSettings(**chosen["minhash"]))
    pairs = [[made(directory / f"pairs/{k}/{j}") for j in numbers] for k in numbers]
    oversized = compared = 0
    for k in numbers:
        oversized += candidates.main(
            [spread[k] for spread in keys], pairs[k], settings=CandidatesSettings(**chosen["candidates"])
        )["oversized_buckets"]
    found = [directory / f"edges-{k}.parquet" for k in numbers]
    for k in numbers:
        own = EdgesSettings(**chosen["edges"])
        done = edges.main(sources, facts, [spread[k] for spread in pairs], found[k], settings=own)
        compared += done["compared_pairs"]
    duplicates = [directory / f"duplicates-{i}.parquet" for i in range(len(sources))]
    counts |= deduplicate.main(facts, found, duplicates, scores)
    counts |= {"oversized_buckets": oversized, "compared_pairs": compared}
    return pl.concat([parquet.read(path, ["id", "cluster", "keep", "reason"]) for path in duplicates]), counts
