"""Parquet shards of documents: which files a directory holds, read by checked columns, written with stable bytes."""

from pathlib import Path

import polars as pl

from llm.errors import InputError

ROWS = 1 << 16  # per row group: fixed, so that neither memory nor the number of threads shapes the file


def parts(directory: Path) -> list[Path]:
    """The shards part-*.parquet of a directory in the order of their names. None: InputError."""
    found = sorted(directory.glob("part-*.parquet"))
    if not found:
        raise InputError(f"{directory}: no part-*.parquet in it; rebuild it or check its source")
    return found


def read(path: Path, columns: list[str]) -> pl.DataFrame:
    """These columns of one shard. A missing column or a file that is not parquet: InputError."""
    try:
        frame = pl.read_parquet(path, columns=columns)
    except pl.exceptions.ColumnNotFoundError as error:
        raise InputError(f"{path}: a column is missing ({error}); it needs {', '.join(columns)}") from error
    except pl.exceptions.ComputeError as error:
        raise InputError(f"{path}: cannot be read as parquet ({error}); remove it and run again") from error
    return frame.select(columns)


def read_all(directory: Path, columns: list[str]) -> pl.DataFrame:
    """These columns of all shards of a directory, one after the other."""
    return pl.concat([read(path, columns) for path in parts(directory)], rechunk=True)


def write(frame: pl.DataFrame, path: Path) -> None:
    """The same table gives the same bytes, whatever the number of threads or the chunks in memory."""
    frame.rechunk().write_parquet(path, compression="zstd", compression_level=3, statistics=False, row_group_size=ROWS)
