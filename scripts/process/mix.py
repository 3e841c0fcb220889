"""Turn domain weights, or epochs, into an exact, seeded sampling plan over the clean training documents."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.io.json import write_json
from llm.io.parquet import parts, read, write
from llm.process.corpus.mix import sampling_plan
from llm.process.settings.mix import MixSettings

COLUMNS = ["domain", "split", "n_bytes", "quality"]


def main(clean: Path, plan: Path, report: Path, *, settings: MixSettings) -> dict:
    """clean: directory of <source>/part-*.parquet. plan: parquet file (source, document, bytes), a row per use.
    report: JSON file, asked and achieved shares."""
    directories = sorted(path for path in clean.iterdir() if path.is_dir())
    sources = pl.Enum([directory.name for directory in directories])
    tables = []
    for directory in directories:
        own = [read(path, COLUMNS).filter(pl.col("split") == "train").drop("split") for path in parts(directory)]
        table = pl.concat(own).with_columns(pl.col("domain").cast(pl.Categorical), pl.col("n_bytes").alias("bytes"))
        table = table.with_row_index("document").with_columns(source=pl.lit(directory.name, sources))
        tables.append(table.select("source", "document", "domain", "bytes", "quality"))
    rows, figures = sampling_plan(
        pl.concat(tables),
        weights=settings.weights,
        epochs=settings.epochs,
        quality=settings.quality,
        budget=settings.bytes,
        seed=settings.seed,
    )
    write(rows, plan)
    write_json(report, figures)
    return figures


if __name__ == "__main__":
    command(main)
