"""Gather the clean shards of all sources in one directory, with totals by domain, split and reason."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.errors import InputError
from llm.text.shards import read, read_all
from llm.text.tree import link_trees


def main(shards: list[Path], clean: Path) -> dict:
    """shards: each source's directory of clean shards. clean: empty directory, filled with <source>/ of links."""
    link_trees(shards, clean)
    sizes, dropped = [], []
    for directory in shards:
        table = read_all(directory, ["domain", "split", "text"])
        sizes.append(table.select("domain", "split", bytes=pl.col("text").str.len_bytes().cast(pl.Int64)))
        dropped.append(read(directory / "dropped.parquet", ["reason"]))
    table = pl.concat(sizes)
    for split in ("train", "validation"):
        if not (table["split"] == split).any():
            raise InputError(
                f"none of the {len(table)} clean documents is for {split}: "
                "change process.validation_fraction or add documents"
            )
    return {
        "sources": len(shards),
        "domains": totals(table, "domain"),
        "splits": totals(table, "split"),
        "dropped": dict(pl.concat(dropped)["reason"].value_counts().sort("reason").iter_rows()),
    }


def totals(table: pl.DataFrame, column: str) -> dict:
    """{value of column: {"documents": n, "bytes": n}}, sorted."""
    grouped = table.group_by(column).agg(documents=pl.len(), bytes=pl.col("bytes").sum()).sort(column)
    return {
        row[column]: {"documents": row["documents"], "bytes": row["bytes"]} for row in grouped.iter_rows(named=True)
    }


if __name__ == "__main__":
    command(main)
