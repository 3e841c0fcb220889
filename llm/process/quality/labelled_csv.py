"""Reads labelled examples: rows of CSV files in a fetched archive."""

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from llm.collect.archive import open_archive
from llm.collect.globs import chooser
from llm.errors import InputError
from llm.process.quality.cross_fit import CHUNK, HALF

LABELS = {"0": 0, "1": 1}
LONGEST = 1 << 24  # characters of a field


def read(
    archive: Path, *, source: str, file: str, include: list[str], text: str, label: str, limit: int
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield (label, rows of sha256, half, text) of the CSV files that the globs `include` choose, a chunk of one label
    at a time; of each label the first `limit` bytes.

    text, label: columns; a label is 0 or 1. file: the member's name if the archive is one plain file. Empty texts are
    left out. Raises InputError for no such file or column, another label, and text that is not CSV in UTF-8.
    """
    chosen = chooser(include or ["**/*.csv"], [], label=f"source '{source}'")
    taken = [0, 0]
    waiting: tuple[list[str], list[str]] = ([], [])
    size = [0, 0]
    with open_archive(archive, label=f"source '{source}'", name=file, wanted=chosen) as opened:
        names = [name for name in opened.names if chosen(name)]
        if not names:
            raise InputError(f"source '{source}': no member matches {include}; it is to hold labelled examples (CSV)")
        for name in names:
            with opened.open(name) as binary:
                for one, value in rows(binary, f"source '{source}': {name}", text, label):
                    if taken[value] >= limit:
                        continue
                    waiting[value].append(one)
                    taken[value] += len(one.encode())
                    size[value] += len(one)
                    if size[value] >= CHUNK:
                        yield value, frame(waiting[value])
                        waiting[value].clear()
                        size[value] = 0
    yield from ((value, frame(texts)) for value, texts in enumerate(waiting) if texts)


def rows(binary: BinaryIO, where: str, text: str, label: str) -> Iterator[tuple[str, int]]:
    """Yield (text, 0 or 1) of each row that has a text."""
    csv.field_size_limit(LONGEST)
    reader = csv.DictReader(io.TextIOWrapper(binary, encoding="utf-8-sig", newline=""))
    try:
        for name in (text, label):
            if name not in (reader.fieldnames or ()):
                there = ", ".join(reader.fieldnames or ()) or "nothing"
                raise InputError(f"{where}: no column '{name}' (there is: {there}); see process.reference.toxicity")
        for row in reader:
            if row[label] not in LABELS:
                raise InputError(f"{where}: line {reader.line_num}: column '{label}' is to be 0 or 1")
            if row[text]:
                yield row[text], LABELS[row[label]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{where}: line {reader.line_num}: not CSV in UTF-8 ({error})") from error


def frame(texts: list[str]) -> pl.DataFrame:
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return pl.DataFrame({"sha256": digests, "text": texts}).with_columns(HALF)
