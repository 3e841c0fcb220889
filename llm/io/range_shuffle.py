"""Shuffles tables by ranges of a hash: every job writes one directory of shards a range, and whoever works on a range
reads that of every job. What does not fit in memory is read in slices.

A row's range and slice depend on its hash alone, so any number of either brings equal hashes together.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from llm.io import parquet


def range_of(hashes: np.ndarray, ranges: int) -> np.ndarray:
    """Return which of `ranges` equal ranges each hash u64 [n] lies in: u64 [n]."""
    return ((hashes >> np.uint64(32)) * np.uint64(ranges)) >> np.uint64(32)


def write_ranges(frame: pl.DataFrame, column: str, directories: list[Path], name: str) -> None:
    """Write the rows of each range of a UInt64 column, in order, as a shard of that range's directory."""
    part = range_of(frame[column].to_numpy(), len(directories))
    for number, directory in enumerate(directories):
        rows = (frame.filter(pl.Series(part == number)) if len(directories) > 1 else frame).rechunk()
        # Hashes do not compress: trying would cost more than everything else that is done with them.
        rows.write_parquet(directory / name, compression="uncompressed", statistics=False, row_group_size=parquet.ROWS)


def slices(directories: list[Path], columns: list[str], rows: int) -> Iterator[pl.DataFrame]:
    """Yield these columns of several directories' shards in slices of about `rows`, by the remainder of the first
    column (UInt64); at least one slice. Equal values are in one slice."""
    files = [path for directory in directories for path in parquet.parts(directory)]
    n = sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in files)
    number = max(1, -(-n // rows))
    for i in range(number):
        chosen = pl.col(columns[0]) % number == i if number > 1 else pl.lit(True)
        yield pl.concat([parquet.read(path, columns).filter(chosen) for path in files])
