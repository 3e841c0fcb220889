"""Turn domain weights, or epochs, into an exact, seeded sampling plan over the clean training documents."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.io.json import write_json
from llm.io.parquet import parts, read, write
from llm.process.corpus.mix import sampling_plan

COLUMNS = ["domain", "split", "n_bytes", "quality"]


def main(
    clean: Path,
    plan: Path,
    report: Path,
    *,
    weights: dict,
    epochs: dict,
    quality: list,
    bytes: int | None,  # noqa: A002
    seed: int,
) -> dict:
    """clean: directory of <source>/part-*.parquet. plan: parquet file (source, document, bytes), a row per use.
    report: JSON file, asked and achieved shares. weights: {domain: share of the bytes}; or epochs: {domain: times it is
    read}. quality: [{top_fraction, factor}], what of each domain is read more often. bytes: of the plan; null: all."""
    directories = sorted(path for path in clean.iterdir() if path.is_dir())
    sources = pl.Enum([directory.name for directory in directories])
    tables = []
    for directory in directories:
        own = [read(path, COLUMNS).filter(pl.col("split") == "train").drop("split") for path in parts(directory)]
        table = pl.concat(own).with_columns(pl.col("domain").cast(pl.Categorical), pl.col("n_bytes").alias("bytes"))
        table = table.with_row_index("document").with_columns(source=pl.lit(directory.name, sources))
        tables.append(table.select("source", "document", "domain", "bytes", "quality"))
    rows, figures = sampling_plan(
        pl.concat(tables), weights=weights, epochs=epochs, quality=quality, budget=bytes, seed=seed
    )
    write(rows, plan)
    write_json(report, figures)
    return figures


if __name__ == "__main__":
    command(main)
