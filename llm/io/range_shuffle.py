"""Tables shuffled by the range of a hash: every job writes one directory of shards for each range, and whoever works on
a range reads that of every job. What is too large for memory is worked on in slices.

Which range and which slice a row falls into depends on its hash alone, so any number of either gives the same rows
beside each other. Knows nothing of what the rows mean.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from llm.io import parquet


def range_of(hashes: np.ndarray, ranges: int) -> np.ndarray:
    """Which of `ranges` equal ranges each hash u64 [n] lies in: u64 [n]."""
    return ((hashes >> np.uint64(32)) * np.uint64(ranges)) >> np.uint64(32)


def write_ranges(frame: pl.DataFrame, column: str, directories: list[Path], name: str) -> None:
    """Write the rows of each range of a UInt64 column as a shard of that range's directory, in the order they have."""
    part = range_of(frame[column].to_numpy(), len(directories))
    for number, directory in enumerate(directories):
        rows = frame.filter(pl.Series(part == number)).rechunk()
        # hashes do not compress: trying costs more than all else that is done with them
        rows.write_parquet(directory / name, compression="uncompressed", statistics=False, row_group_size=parquet.ROWS)


def slices(directories: list[Path], columns: list[str], rows: int) -> Iterator[pl.DataFrame]:
    """These columns of several directories' shards in slices of about `rows`, by the remainder of the first, UInt64; at
    least one slice. Equal values come in one slice."""
    files = [path for directory in directories for path in parquet.parts(directory)]
    n = sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in files)
    number = max(1, -(-n // rows))
    for i in range(number):
        chosen = pl.col(columns[0]) % number == i
        yield pl.concat([parquet.read(path, columns).filter(chosen) for path in files])
