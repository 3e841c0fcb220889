"""Parquet shards of documents: which files a directory holds, read by checked columns, written with stable bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from llm.errors import InputError

ROWS = 1 << 16  # per row group: fixed, so that neither memory nor the number of threads shapes the file


def parts(directory: Path, kind: str = "part") -> list[Path]:
    """The shards <kind>-*.parquet of a directory in the order of their names. None: InputError."""
    found = sorted(directory.glob(f"{kind}-*.parquet"))
    if not found:
        raise InputError(f"{directory}: no {kind}-*.parquet in it; rebuild it or check its source")
    return found


def read(path: Path, columns: list[str], rows: tuple[int, int] | None = None) -> pl.DataFrame:
    """These columns of one shard; of `rows`, (begin, count), alone, if given: other row groups are not read. A missing
    column or a file that is not parquet: InputError."""
    lazy = opened(path).select(columns)
    with damage_is_input_error(path, columns):
        return (lazy if rows is None else lazy.slice(*rows)).collect()


def height(path: Path) -> int:
    """How many rows a shard has, from its footer alone. A file that is not parquet: InputError."""
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
    """These columns of all shards of a directory, one after the other."""
    return pl.concat([read(path, columns) for path in parts(directory)], rechunk=True)


def write(frame: pl.DataFrame, path: Path) -> None:
    """The same table gives the same bytes, whatever the number of threads or the chunks in memory."""
    frame.rechunk().write_parquet(path, compression="zstd", compression_level=3, statistics=False, row_group_size=ROWS)
