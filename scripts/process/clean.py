"""Filter one source's documents by the thresholds, drop duplicates, redact personal data, split off validation."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.errors import InputError
from llm.text import clean
from llm.text.shards import parts, read, write

RAW = ["id", "text", "title", "url", "source", "domain", "license"]
ANNOTATED = ["id", *clean.FILTERED, "pii"]


def main(
    documents: Path,
    annotations: Path,
    duplicates: Path,
    shards: Path,
    *,
    thresholds: dict,
    overrides: dict,
    pii: dict,
    validation_fraction: float,
    seed: int,
) -> dict:
    """documents, annotations: directories of shards. duplicates: the source's parquet file. shards: empty directory.
    thresholds: {signal: {min, max, in}}. overrides: the same for the source's domain. pii: {kind: redact|drop|report}.
    validation_fraction: share of documents held out. Returns counts; documents in = documents out + dropped."""
    rules = clean.resolve(thresholds, overrides, pii, validation_fraction, seed)
    known = read(duplicates, ["id", "cluster", "keep", "reason"])
    tables = {}
    begin = 0
    for path in parts(documents):
        raw = read(path, RAW)
        tables[path.name] = clean.clean(
            raw, read(annotations / path.name, ANNOTATED), known[begin : begin + len(raw)], rules
        )
        begin += len(raw)
    if begin != len(known):
        raise InputError(f"{duplicates}: lists {len(known)} documents, the raw shards hold {begin}; rebuild it")

    table = pl.concat(tables.values()).with_row_index("row")
    kept = table.filter(pl.col("reason").is_null())
    split = pl.DataFrame(
        {"row": kept["row"], "split": clean.splits(kept["cluster"].to_list(), rules)},
        schema_overrides={"split": pl.String},
    )
    table = table.join(split, on="row", how="left", maintain_order="left")
    counts = clean.counts(table)
    begin = 0
    for name, part in tables.items():
        own = table[begin : begin + len(part)].filter(pl.col("reason").is_null())
        write(own.select(clean.COLUMNS), shards / name)
        begin += len(part)
    write(table.filter(pl.col("reason").is_not_null()).select("id", "reason"), shards / "dropped.parquet")
    return counts


if __name__ == "__main__":
    command(main)
