"""Turn domain weights into an exact, seeded sampling plan over the clean training documents."""

import json
from pathlib import Path

import polars as pl

from llm.command import command
from llm.text.mix import sampling_plan
from llm.text.shards import read_all, write


def main(clean: Path, plan: Path, report: Path, *, weights: dict, bytes: int | None, seed: int) -> dict:  # noqa: A002
    """clean: directory of <source>/part-*.parquet. plan: parquet file (source, document), one row per use, in order.
    report: JSON file, asked and achieved shares. weights: {domain: share of bytes}. bytes: of the plan; null: all."""
    tables = []
    for directory in sorted(path for path in clean.iterdir() if path.is_dir()):
        table = read_all(directory, ["source", "domain", "split", "text"]).filter(pl.col("split") == "train")
        tables.append(
            table.select(
                "source", "domain", document=pl.int_range(pl.len()), bytes=pl.col("text").str.len_bytes().cast(pl.Int64)
            )
        )
    rows, figures = sampling_plan(pl.concat(tables), weights=weights, budget=bytes, seed=seed)
    write(rows, plan)
    report.write_text(json.dumps(figures, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return figures


if __name__ == "__main__":
    command(main)
