"""Reads the first rows of an artifact's file as short texts: parquet, JSON lines, JSON, plain text.

No more of a file than its beginning is read. The template escapes the texts.
"""

import contextlib
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from stemma.base.digest import from_json
from stemma.provenance.catalogue import Artifact
from stemma.report.values import at, content

TEXT = 700  # the most characters of one value


def file_of(item: Artifact, pattern: str | None) -> Path | None:
    """Return the artifact's own file, or the first in its directory that matches; None where there is none."""
    if not item.is_directory:
        return item.path
    return next(iter(sorted(item.path.parent.glob(pattern or "*"))), None)


def first_rows(item: Artifact, pattern: str | None, columns: list[str], count: int) -> list[list[tuple[str, str]]]:
    """Return the first `count` rows as (column, text): those of `columns` (none: all) that a row has, in that order."""
    file = file_of(item, pattern)
    return [] if file is None else cut(records(item, file), columns, count)


def rows_at(item: Artifact, path: str, columns: list[str], count: int) -> list[list[tuple[str, str]]]:
    """Return the same of a list of rows that stands at a path of the artifact or its record."""
    return cut((row for value in at(item, path) if isinstance(value, list) for row in value), columns, count)


def cut(rows: Iterable, columns: list[str], count: int) -> list[list[tuple[str, str]]]:
    rows = [row for row in islice(rows, count) if isinstance(row, dict)]
    return [
        [(name, clipped(row[name])) for name in (columns or row) if row.get(name) not in (None, "")] for row in rows
    ]


def records(item: Artifact, file: Path):
    """Yield the rows of a file as dicts; a malformed file ends early."""
    if file.suffix == ".parquet":
        import polars

        with contextlib.suppress(polars.exceptions.PolarsError):
            yield from polars.scan_parquet(file).head(100).collect().iter_rows(named=True)
    elif file.suffix == ".jsonl":
        with contextlib.suppress(ValueError), file.open("rb") as lines:
            yield from map(from_json, lines)
    elif file.suffix == ".json":
        value = content(item)
        if isinstance(value, dict):
            yield from ({"name": name, "value": inner} for name, inner in value.items())
        elif isinstance(value, list):
            yield from value
    else:
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from ({"line": line.rstrip("\n")} for line in lines)


def series_of(item: Artifact, pattern: str, x: str, y: str) -> list[tuple[float, float]]:
    """Return the points of a parquet or JSON lines file: two of its columns; rows that lack one are left out."""
    file = file_of(item, pattern)
    if file is None or file.suffix not in (".parquet", ".jsonl"):
        return []
    import polars

    parquet = file.suffix == ".parquet"
    with contextlib.suppress(polars.exceptions.PolarsError):
        lazy = polars.scan_parquet(file) if parquet else polars.scan_ndjson(file, infer_schema_length=None)
        if {x, y} <= set(lazy.collect_schema()):
            return lazy.select(x, y).drop_nulls().collect().rows()
    return []


def clipped(value: object) -> str:
    """Return a value's text, at most TEXT characters of it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= TEXT else f"{text[:TEXT].rstrip()} … ({len(text):,} characters)"
