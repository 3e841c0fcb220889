"""Measure how much of one source's documents occurs in evaluation sets, by word n-grams."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.io.parquet import parts, read, write
from llm.process.dedup.contamination import Search, evaluation_grams
from llm.process.settings.decontaminate import DecontaminateSettings
from llm.progress import progress

CHUNK = 8 << 20  # bytes of text compared at once


def main(documents: Path, evaluations: list[Path], contamination: Path, *, settings: DecontaminateSettings) -> dict:
    """documents: directory of raw parquet shards. evaluations: such directories of the evaluation sets, an item a row.
    contamination: parquet file of all rows (id, contamination, evaluation). Returns counts."""
    texts = ((path.name, (read(shard, ["text"])["text"] for shard in parts(path))) for path in evaluations)
    grams = evaluation_grams(texts, n=settings.ngram, min_words=settings.min_words)
    search = Search(grams, settings.min_hits)
    tables = []
    n_bytes = 0
    for path in parts(documents):
        shard = read(path, ["id", "text"])
        sizes = shard["text"].str.len_bytes().cast(pl.Int64)
        for chunk in shard.with_columns(chunk=sizes.cum_sum() // CHUNK).partition_by("chunk", maintain_order=True):
            tables.append(pl.concat([chunk.select("id"), search.of(chunk["text"])], how="horizontal"))
        n_bytes += int(sizes.sum())
        progress(f"compared {n_bytes / 1e6:.1f} MB, {search.contaminated:,} documents contaminated")
    table = pl.concat(tables)
    write(table, contamination)
    return {"documents": len(table), "bytes": n_bytes} | search.metrics()


if __name__ == "__main__":
    command(main)
