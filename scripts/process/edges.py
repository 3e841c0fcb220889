"""Verify one range of candidate pairs by the true Jaccard similarity of their texts' shingle sets."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.io import parquet
from llm.io.range_shuffle import slices
from llm.process.dedup.jaccard import forest, similar
from llm.process.settings.edges import EdgesSettings

PAIRS = 1 << 22  # pairs in memory at once


def main(documents: list[Path], facts: list[Path], pairs: list[Path], edges: Path, *, settings: EdgesSettings) -> dict:
    """documents, facts: each source's directories of shards, in one order. pairs: the directories for this range.
    edges: a parquet file of enough similar pairs to connect all similar documents."""
    found = []
    n_pairs = compared = 0
    for table in slices(pairs, ["a", "b"], PAIRS):
        table = table.unique().sort("a", "b")
        n_pairs += len(table)
        if settings.verify:
            table, n = similar(table, documents, facts, threshold=settings.threshold, words=settings.shingle_words)
            compared += n
        found.append(table)
    joined = forest(pl.concat(found).sort("a", "b"))
    parquet.write(joined, edges)
    return {"candidate_pairs": n_pairs, "compared_pairs": compared, "edges": len(joined)}


if __name__ == "__main__":
    command(main)
