"""Rows of JSON lines or parquet to documents: one column is the text; `title` and `url` are kept if there are any."""

import codecs
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import polars as pl

from llm.collect.archive import Archive
from llm.collect.documents import Document, Report
from llm.errors import InputError

INCLUDE_JSONL = ["**/*.{jsonl,ndjson,json}", "**/*.{jsonl,ndjson,json}.{gz,bz2,xz,zst}"]
INCLUDE_PARQUET = ["**/*.parquet"]
BATCH = 4096  # rows


def jsonl(archive: Archive, names: list[str], report: Report, *, column: str) -> Iterator[Document]:
    """One document per line, streamed. A line that is no JSON object with the column is an InputError with its number;
    one that is not UTF-8 or too large is counted and skipped."""
    for name in names:
        label = f"{archive.label}: {name}"
        with archive.open(name) as file:
            for number, line in enumerate(lines(file, archive.limits.member), 1):
                if line is None:
                    report.skipped["too large"] += 1
                    continue
                if not line.strip():
                    continue
                try:
                    row = json.loads(line.removeprefix(codecs.BOM_UTF8).decode())
                except UnicodeDecodeError:
                    report.skipped["not UTF-8"] += 1
                    continue
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{label}: line {number} is not JSON ({error}); one object a line") from error
                yield from document(row, column, f"{name}#{number}", f"{label}: line {number}", report)


def lines(file: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """The lines of a file; None for one of more than `limit` bytes, which is not kept."""
    while line := file.readline(limit + 1):
        if len(line) <= limit:
            yield line
            continue
        while not line.endswith(b"\n") and (line := file.readline(limit)):
            pass
        yield None


def parquet(archive: Archive, names: list[str], report: Report, *, column: str) -> Iterator[Document]:
    """One document per row. A file is copied to disk and read in small batches."""
    for name in names:
        label, number = f"{archive.label}: {name}", 0
        with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
            with archive.open(name) as file:
                shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            try:
                table = pl.scan_parquet(copy.name, glob=False)
                there = table.collect_schema().names()
                if column not in there:
                    raise InputError(missing(label, column, there))
                kept = [name for name in (column, "title", "url") if name in there]
                for batch in table.select(kept).collect_batches(chunk_size=BATCH, maintain_order=True):
                    for row in batch.iter_rows(named=True):
                        number += 1
                        yield from document(row, column, f"{name}#{number}", label, report)
            except pl.exceptions.PolarsError as error:
                problem = str(error).splitlines()[0].replace(copy.name, name)
                raise InputError(f"{label}: not a readable parquet file ({problem})") from error


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
