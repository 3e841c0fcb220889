"""Rows of JSON lines or parquet to documents: one column is the text; `title` and `url` are kept if there are any."""

import io
import json
from collections.abc import Iterable, Iterator

import polars as pl

from llm.errors import InputError
from llm.text.archive import Archive
from llm.text.documents import Document, Report

INCLUDE_JSONL = ["**/*.jsonl", "**/*.ndjson", "**/*.jsonl.{gz,bz2,xz}", "**/*.json"]
INCLUDE_PARQUET = ["**/*.parquet"]


def jsonl(archive: Archive, names: list[str], report: Report, *, column: str) -> Iterator[Document]:
    """One document per line, streamed. A line that is no JSON object with the column is an InputError with its number;
    one that is not UTF-8 is counted and skipped."""
    for name in names:
        label = f"{archive.label}: {name}"
        with archive.open(name) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line.decode())
                except UnicodeDecodeError:
                    report.skipped["not UTF-8"] += 1
                    continue
                except json.JSONDecodeError as error:
                    raise InputError(f"{label}: line {number} is not JSON ({error}); one object a line") from error
                yield from document(row, column, f"{name}#{number}", f"{label}: line {number}", report)


def parquet(archive: Archive, names: list[str], report: Report, *, column: str) -> Iterator[Document]:
    """One document per row."""
    for name in names:
        label = f"{archive.label}: {name}"
        try:
            frame = pl.read_parquet(io.BytesIO(archive.read(name)))
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{label}: not a readable parquet file ({str(error).splitlines()[0]})") from error
        if column not in frame.columns:
            raise InputError(missing(label, column, frame.columns))
        kept = [name for name in (column, "title", "url") if name in frame.columns]
        for number, row in enumerate(frame.select(kept).iter_rows(named=True), 1):
            yield from document(row, column, f"{name}#{number}", label, report)


def document(row: object, column: str, part: str, label: str, report: Report) -> Iterator[Document]:
    if not isinstance(row, dict) or column not in row:
        raise InputError(missing(label, column, row if isinstance(row, dict) else [type(row).__name__]))
    if row[column] is None:
        report.skipped["empty"] += 1
        return
    if not isinstance(row[column], str):
        raise InputError(
            f"{label}: column '{column}' is {type(row[column]).__name__}, not text; name another with column:"
        )
    title, url = row.get("title"), row.get("url")
    yield Document(
        row[column],
        title if isinstance(title, str) else None,
        f"{part} {url}" if isinstance(url, str) and url else part,
    )


def missing(label: str, column: str, there: Iterable[str]) -> str:
    return f"{label}: no column '{column}' (there is: {', '.join(there)}); name the text's column with column:"
