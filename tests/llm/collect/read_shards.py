"""Reads the shards of a raw source back."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from llm.collect.documents import SCHEMA


def read_documents(directory: Path) -> Iterator[pl.DataFrame]:
    """The shards of a raw source, in order, each with the columns that every source has."""
    for shard in sorted(directory.glob("part-*.parquet")):
        frame = pl.read_parquet(shard)
        assert frame.schema == SCHEMA
        yield frame
