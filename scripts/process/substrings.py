"""Find the passages of all sources' documents that occur in an earlier document, or twice in the same one."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from llm.command import command
from llm.errors import InputError
from llm.io import parquet
from llm.process.dedup.lsh import names
from llm.process.dedup.substrings import Windows, entries
from llm.process.settings.substrings import SubstringsSettings
from llm.progress import progress


def main(
    documents: list[Path],
    facts: list[Path],
    duplicates: list[Path],
    substrings: list[Path],
    *,
    settings: SubstringsSettings,
) -> dict:
    """documents, facts: each source's directories of shards, duplicates: its file, in one order; only documents that
    are kept there are compared. substrings: each source's empty directory, which gets a shard (id, spans) for each."""
    n = sum(int(parquet.read_all(directory, ["bytes"])["bytes"].sum()) for directory in facts)
    counts = {"documents": 0, "documents_with_spans": 0, "spans": 0, "characters": 0}
    with TemporaryDirectory() as directory:
        windows = Windows(Path(directory), n)
        work: list[tuple[Path, Path]] = []
        for raw, known, verdicts, out in zip(documents, facts, duplicates, substrings, strict=True):
            begin = 0
            for path in parquet.parts(raw):
                table = parquet.read(path, ["id", "text"])
                verdict = parquet.read(verdicts, ["id", "keep"], (begin, len(table)))
                if not verdict["id"].equals(table["id"]):
                    raise InputError(f"substrings: {verdicts} does not list the same documents as {path}; rebuild it")
                rows = np.flatnonzero(verdict["keep"].to_numpy())
                name = names(parquet.read(known / path.name, ["digest"]))[rows]
                windows.add(len(work), entries(name, rows, table["text"].gather(rows), settings.min_bytes))
                work.append((path, out))
                begin += len(table)
                progress(f"read {len(work):,} shards")
        windows.compare()
        for number, (path, out) in enumerate(work):
            ids = parquet.read(path, ["id"])
            table = ids.with_columns(spans=windows.spans(number, len(ids)))
            parquet.write(table, out / path.name)
            cut = table["spans"].explode().drop_nulls().struct.unnest()
            counts["documents"] += len(table)
            counts["documents_with_spans"] += int((table["spans"].list.len() > 0).sum())
            counts["spans"] += len(cut)
            counts["characters"] += int(cut.select(pl.col("end") - pl.col("start")).to_series().sum())
    return counts


if __name__ == "__main__":
    command(main)
