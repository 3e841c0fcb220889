"""Reads and writes parquet shards of documents: lists a directory's shards, checks columns, writes stable bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from llm.errors import InputError

ROWS = 1 << 16  # rows in a row group: fixed, so that neither memory nor the number of threads shapes the file


def parts(directory: Path, kind: str = "part") -> list[Path]:
    """Return the shards <kind>-*.parquet of a directory, sorted by name. Raises InputError if there are none."""
    found = sorted(directory.glob(f"{kind}-*.parquet"))
    if not found:
        raise InputError(f"{directory}: no {kind}-*.parquet in it; rebuild it or check its source")
    return found


def read(path: Path, columns: list[str], rows: tuple[int, int] | None = None) -> pl.DataFrame:
    """Return these columns of one shard. `rows`, (begin, count): only these rows; other row groups are not read. Raises
    InputError for a missing column and for a file that is not parquet."""
    lazy = opened(path).select(columns)
    with damage_is_input_error(path, columns):
        return (lazy if rows is None else lazy.slice(*rows)).collect()


def height(path: Path) -> int:
    """Return the number of rows of a shard, from its footer. Raises InputError for a file that is not parquet."""
    with damage_is_input_error(path, []):
        return opened(path).select(pl.len()).collect().item()


def opened(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, cache=False, use_statistics=False)


@contextmanager
def damage_is_input_error(path: Path, columns: list[str]) -> Iterator[None]:
    try:
        yield
    except pl.exceptions.ColumnNotFoundError as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"{path}: a column is missing ({problem}); it needs {', '.join(columns)}") from error
    except (pl.exceptions.PolarsError, FileNotFoundError) as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as parquet ({problem}); remove it and run again") from error


def read_all(directory: Path, columns: list[str]) -> pl.DataFrame:
    """Return these columns of all shards of a directory, one after the other."""
    return pl.concat([read(path, columns) for path in parts(directory)], rechunk=True)


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a table. Equal tables give equal bytes, whatever the number of threads or the chunks in memory."""
    frame.rechunk().write_parquet(path, compression="zstd", compression_level=3, statistics=False, row_group_size=ROWS)
