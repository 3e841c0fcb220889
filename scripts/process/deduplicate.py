"""Find the clusters of duplicates among the documents of all sources and choose one of each. Drops nothing."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.errors import InputError
from llm.text import shards
from llm.text.dedup import clusters


def main(facts: list[Path], edges: list[Path], duplicates: list[Path], scores: list[Path] | None = None) -> dict:
    """facts: each source's directory. edges: the parquet file of each range. duplicates: one for each source.
    scores: each source's directory of shards with a column `quality`; without it the longest member is kept."""
    if len(facts) != len(duplicates) or scores and len(scores) != len(facts):
        raise InputError("deduplicate: facts, scores and duplicates must name the same sources in one order")
    tables = [shards.read_all(directory, ["id", "digest", "bytes"]) for directory in facts]
    sizes = [len(table) for table in tables]
    documents = pl.concat(tables).with_columns(quality=pl.lit(None, dtype=pl.Float64))
    del tables
    if scores:
        scored = pl.concat([shards.read_all(directory, ["id", "quality"]) for directory in scores])
        if not scored["id"].equals(documents["id"]):
            raise InputError("deduplicate: the scores are not of the documents in results/minhash; rebuild them")
        documents = documents.with_columns(scored["quality"])
    if documents["id"].n_unique() < len(documents):
        twice = documents["id"].filter(documents["id"].is_duplicated())[0]
        raise InputError(f"deduplicate: the id {twice!r} occurs more than once; ids must be unique in the corpus")
    table, counts = clusters(documents, pl.concat([shards.read(path, ["a", "b"]) for path in edges]))
    begin = 0
    for path, size in zip(duplicates, sizes, strict=True):
        shards.write(table[begin : begin + size], path)
        begin += size
    return counts


if __name__ == "__main__":
    command(main)
