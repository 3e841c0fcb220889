"""Finds stretches of text that occur in an earlier document, or earlier in the same one, by content-defined windows.

It follows Lee et al. 2022 (Deduplicating Training Data Makes Language Models Better), whose suffix array holds the
corpus in memory; here only the windows of kernels/windows.py are compared, one range of their keys after the other.
"Earlier" is by the document's name (llm/process/dedup/lsh.py), then by place, so the order of sources and shards does
not matter. Spans are in characters of the collected text; `clean` cuts them.
"""

from pathlib import Path

import numpy as np
import polars as pl

from kernels.windows import windows
from llm.io import parquet
from llm.io.range_shuffle import write_ranges
from llm.io.utf8 import utf8

SPANS = pl.List(pl.Struct({"start": pl.UInt32, "end": pl.UInt32}))
PLACE = ("row", "start", "end")
WINDOW = np.dtype([(name, "<u4") for name in PLACE])
TEXT = 128 << 20  # bytes of text for a range: about 5 million windows of 40 bytes


def entries(names: np.ndarray, rows: np.ndarray, texts: pl.Series, min_bytes: int) -> pl.DataFrame:
    """Return the windows of at least `min_bytes` of each document: `key`, `name` (UInt64), `row`, `start` and `end`
    (UInt32) in characters.

    names u64 [n], unique: of equal texts only one may be given, and only documents that stay should be. rows [n]: the
    numbers by which the caller knows them.
    """
    key, owner, start, end = windows(*utf8(texts), min_bytes)
    numbers = {"row": rows[owner], "start": start, "end": end}
    return pl.DataFrame({"key": key, "name": names[owner]} | {k: v.astype(np.uint32) for k, v in numbers.items()})


def repeated(table: pl.DataFrame) -> pl.DataFrame:
    """Return the windows whose key occurs earlier. table: all entries of each key."""
    ordered = table.sort("key", "name", "start")
    return ordered.filter(~pl.col("key").is_first_distinct()).drop("key", "name")


def spans(found: pl.DataFrame) -> pl.DataFrame:
    """Join windows that touch: return `row`, `spans` (list of start and end, ascending), in the order of rows."""
    ordered = found.sort("row", "start", "end").with_columns(
        reach=pl.col("end").cum_max().over("row").shift(1).over("row")
    )
    ordered = ordered.with_columns(group=(pl.col("start") > pl.col("reach")).fill_null(True).cum_sum())
    joined = ordered.group_by("group", maintain_order=True).agg(
        pl.col("row").first(), pl.col("start").first(), pl.col("end").max()
    )
    return joined.group_by("row", maintain_order=True).agg(spans=pl.struct("start", "end"))


class Windows:
    """Stores the windows of many shards on local disk: by ranges of keys as they come, then by the shard they belong
    to."""

    def __init__(self, directory: Path, text_bytes: int):
        """directory: empty; it gets about 1.5 bytes for each of the text_bytes."""
        self.ranges = [directory / f"range-{number}" for number in range(max(1, -(-text_bytes // TEXT)))]
        self.found = directory / "found"
        for path in (*self.ranges, self.found):
            path.mkdir()

    def add(self, shard: int, table: pl.DataFrame) -> None:
        """Store the `entries` of the shard of this number."""
        table = table.with_columns(shard=pl.lit(shard, pl.UInt32))
        write_ranges(table, "key", self.ranges, f"part-{shard:06d}.parquet")

    def compare(self) -> None:
        """Find the repeated windows, after all are stored. Memory holds the windows of one range."""
        for directory in self.ranges:
            table = repeated(pl.concat([pl.read_parquet(path, glob=False) for path in parquet.parts(directory)]))
            for (shard,), own in table.partition_by("shard", as_dict=True).items():
                with (self.found / str(shard)).open("ab") as file:
                    own.select(PLACE).to_numpy(structured=True).astype(WINDOW).tofile(file)

    def spans(self, shard: int, height: int) -> pl.Series:
        """Return for each of the shard's rows what occurs earlier, List(Struct(start, end)), empty for most."""
        path = self.found / str(shard)
        found = np.fromfile(path, WINDOW) if path.exists() else np.empty(0, WINDOW)
        rows = pl.DataFrame({"row": np.arange(height, dtype=np.uint32)})
        table = spans(pl.DataFrame({name: found[name] for name in PLACE}))
        joined = rows.join(table, on="row", how="left", maintain_order="left")["spans"]
        return joined.cast(SPANS).fill_null(pl.Series([[]], dtype=SPANS))
