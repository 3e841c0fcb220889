"""Find the clusters of duplicates among the documents of all sources, and choose one document of each."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.errors import InputError
from llm.io import parquet
from llm.process.dedup.clusters import clusters


def main(facts: list[Path], edges: list[Path], duplicates: list[Path], scores: list[Path] | None = None) -> dict:
    """facts: each source's directory. edges: the parquet file of each range. duplicates: one for each source.
    scores: each source's directory of shards with a column `quality`; without it the longest member is kept."""
    if len(facts) != len(duplicates) or scores and len(scores) != len(facts):
        raise InputError("deduplicate: facts, scores and duplicates must name the same sources in one order")
    if scores:
        known = [documents_of(*of) for of in zip(facts, scores, strict=True)]
    else:
        known = [documents_of(directory, None) for directory in facts]
    sizes = [len(table) for table in known]
    documents = pl.concat(known, rechunk=True)
    del known
    if documents["id"].n_unique() < len(documents):
        twice = documents["id"].filter(documents["id"].is_duplicated())[0]
        raise InputError(f"deduplicate: the id {twice!r} occurs more than once; ids must be unique in the corpus")
    table, counts = clusters(documents, pl.concat([parquet.read(path, ["a", "b"]) for path in edges]))
    begin = 0
    for path, size in zip(duplicates, sizes, strict=True):
        parquet.write(table[begin : begin + size], path)
        begin += size
    return counts


def documents_of(facts: Path, scores: Path | None) -> pl.DataFrame:
    """Return id, digest, bytes and quality (null without scores) of a source's documents."""
    tables = []
    for path in parquet.parts(facts):
        table = parquet.read(path, ["id", "digest", "bytes"])
        quality: pl.Expr | pl.Series = pl.lit(None, dtype=pl.Float64).alias("quality")
        if scores:
            scored = parquet.read(scores / path.name, ["id", "quality"])
            if not scored["id"].equals(table["id"]):
                raise InputError(f"deduplicate: {scores} does not list the same documents as {path}; rebuild it")
            quality = scored["quality"]
        tables.append(table.with_columns(quality))
    return pl.concat(tables)


if __name__ == "__main__":
    command(main)
