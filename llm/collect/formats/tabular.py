"""Reads rows of JSON lines or parquet: one column is the text; `title` and `url` are kept if there are any."""

import codecs
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from llm.collect.archive import Archive
from llm.collect.documents import Document, Report
from llm.collect.formats.parquet_process import BrokenFileError, Reader, batches
from llm.collect.formats.records import lines
from llm.errors import InputError

INCLUDE_JSONL = ["**/*.{jsonl,ndjson,json}", "**/*.{jsonl,ndjson,json}.{gz,bz2,xz,zst}"]
INCLUDE_PARQUET = ["**/*.parquet"]
MOST_NAMED = 20  # columns in a message
VALUES = (b",", b"[", b"{")  # before each of them
MOST_VALUES = 5_000_000  # in a line: each takes up to a hundred bytes of memory, of the line two
AT_ONCE = 32 << 20  # bytes of rows of parquet in memory


def jsonl(archive: Archive, names: list[str], report: Report, *, column: str) -> Iterator[Document]:
    """Yield one document per line, streamed, or per object of a list. A line that is no JSON object with a text in the
    column, is not UTF-8 or is too large is counted and skipped."""
    for name in names:
        with archive.open(name) as file:
            for number, line in enumerate(lines(file, archive.limits.member), 1):
                if line is None or (len(line) > MOST_VALUES and sum(map(line.count, VALUES)) > MOST_VALUES):
                    report.skipped["too large"] += 1
                    continue
                if not line.strip():
                    continue
                where = f"{archive.label}: {name}: line {number}"
                try:
                    rows = rows_of(line.removeprefix(codecs.BOM_UTF8).decode())
                except UnicodeDecodeError:
                    report.broken("not UTF-8", f"{where} is not UTF-8")
                except (ValueError, RecursionError) as error:
                    report.broken("not JSON", f"{where} is not JSON ({error}); one object a line")
                else:
                    for k, row in enumerate(rows, 1):
                        part = f"{name}#{number}" if len(rows) == 1 else f"{name}#{number}.{k}"
                        yield from document(row, column, part, where, report)


def rows_of(line: str) -> list[object]:
    """Return the rows of a line: one, or those of a list. A list may have a line for each of its rows, too.
    ValueError if it is no JSON."""
    line = line.strip().removeprefix("\x1e")  # RFC 7464
    try:
        row = json.loads(line)
    except ValueError:
        line = line.removeprefix("[").removesuffix("]").strip().removesuffix(",")
        if not line:
            return []
        row = json.loads(line)
    return row if isinstance(row, list) else [row]


def parquet(archive: Archive, names: list[str], report: Report, *, column: str) -> Iterator[Document]:
    """Yield one document per row. A file is copied to disk and read in small batches, by another process: a file that
    cannot be read, or kills it, is counted."""
    with Reader() as reader, tempfile.TemporaryDirectory() as directory:
        copy, rows = Path(directory, "copy.parquet"), Path(directory, "rows")
        for name in names:
            where, number = f"{archive.label}: {name}", 0
            with archive.open(name) as file, copy.open("wb") as into:
                shutil.copyfileobj(file, into, 1 << 20)
            rows.write_bytes(b"")
            try:
                there = reader.copy(copy, rows, list(dict.fromkeys((column, "title", "url"))), archive.limits)
            except BrokenFileError as error:
                report.broken("broken parquet", f"{where}: not a readable parquet file ({error})")
                continue
            if column not in there:
                raise InputError(missing(where, column, there))
            for batch in batches(rows):
                for row in batch.iter_rows(named=True, buffer_size=rows_at_once(batch)):
                    number += 1
                    yield from document(row, column, f"{name}#{number}", where, report)


def rows_at_once(batch: pl.DataFrame) -> int:
    """Return how many rows to make into objects at a time: equal texts share their bytes in a batch, but not there."""
    sizes = batch.select(pl.col(pl.String).str.len_bytes()).max()
    longest = sum(size or 0 for size in sizes.row(0)) if sizes.width else 0
    return max(1, min(512, AT_ONCE // (1 + longest)))


def document(row: object, column: str, part: str, where: str, report: Report) -> Iterator[Document]:
    """Return a row's document; None where there is none, and its reason is counted. where: begins the message about a
    broken one."""
    if not isinstance(row, dict) or column not in row:
        there = row if isinstance(row, dict) else [type(row).__name__]
        report.broken(f"no column '{column}'", missing(where, column, there))
        return
    text = row[column]
    if text is None:
        report.skipped["empty"] += 1
        return
    if not isinstance(text, str):
        problem = f"{where}: column '{column}' is {type(text).__name__}, not text; name another with column:"
        report.broken("not text", problem)
        return
    title, url = row.get("title"), row.get("url")
    yield Document(
        text,
        title if isinstance(title, str) else None,
        f"{part} {url}" if isinstance(url, str) and url else part,
    )


def missing(label: str, column: str, there: Iterable[str]) -> str:
    names = [name[:40] for name in islice(there, MOST_NAMED + 1)]
    shown = ", ".join(names[:MOST_NAMED] + ["..."] * (len(names) > MOST_NAMED))
    return f"{label}: no column '{column}' (there is: {shown}); name the text's column with column:"
