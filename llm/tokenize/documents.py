"""Reads clean documents in the orders that tokenizing needs: a source's splits, and the sampling plan's beginning.

It reads clean shards (`part-*.parquet`) and the plan; documents were filtered before.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from llm.errors import InputError
from llm.io.parquet import ROWS, height, parts, read

SPLITS = ("train", "validation")
BATCH = 16 << 20  # UTF-8 bytes of text held at once while tokenizing
WINDOW = 128 << 20  # UTF-8 bytes of planned text held at once


def split_batches(source: Path, split: str, batch_bytes: int = BATCH) -> Iterator[list[str]]:
    """Yield the texts of a source's `split` in clean order, in lists of about `batch_bytes` (a longer document
    alone)."""
    for part in parts(source):
        texts = read(part, ["text", "split"]).filter(pl.col("split") == split)["text"]
        group = (texts.str.len_bytes().cast(pl.Int64).cum_sum() // batch_bytes).alias("group")
        for batch in pl.DataFrame([texts, group]).partition_by("group", maintain_order=True):
            yield batch["text"].to_list()


def planned_texts(clean: Path, plan: Path, limit: int, window: int = WINDOW) -> Iterator[str]:
    """Yield the first planned documents, in plan order, until they have `limit` UTF-8 bytes; the last one is cut.

    A document that the plan uses twice comes twice: the tokenizer sees the mixture that training will see. Memory: the
    texts of `window` bytes of the plan, and one shard. The shards that hold them are read once for each window.
    """
    if limit < 1:
        raise InputError(f"tokenizer.sample_bytes: {limit} is not a positive number of bytes")
    counts: dict[str, list[int]] = {}
    uses_of = beginning(plan, limit).with_columns(window=pl.col("before") // window)
    for uses in uses_of.partition_by("window", maintain_order=True):
        texts = {}
        for (source,), own in uses.partition_by("source", as_dict=True).items():
            if source not in counts:
                counts[source] = train_counts(clean / source)
            wanted = own["document"].unique().sort()
            if wanted[-1] >= sum(counts[source]):
                raise InputError(
                    f"{plan.name}: document {wanted[-1]} of {source} is not in the clean shards; mix again"
                )
            texts[source] = train_texts(clean / source, counts[source], wanted)
        for source, document, size, before in uses.select("source", "document", "bytes", "before").iter_rows():
            text = texts[source][document]
            left = limit - before
            yield text if size <= left else text.encode()[:left].decode(errors="ignore")


def beginning(plan: Path, limit: int) -> pl.DataFrame:
    """Return the plan's first uses, until they have `limit` bytes: source, document, bytes, and `before`, the bytes of
    all uses before it."""
    rows, total, found = height(plan), 0, []
    for begin in range(0, rows, ROWS):
        uses = read(plan, ["source", "document", "bytes"], (begin, ROWS)).with_columns(pl.col("bytes").cast(pl.Int64))
        uses = uses.with_columns(before=total + pl.col("bytes").cum_sum() - pl.col("bytes"))
        found.append(uses.filter(pl.col("before") < limit))
        total += int(uses["bytes"].sum())
        if total >= limit:
            break
    return pl.concat(found)


def train_counts(source: Path) -> list[int]:
    """Return how many train documents each shard of a source has."""
    return [int((read(part, ["split"])["split"] == "train").sum()) for part in parts(source)]


def train_texts(source: Path, counts: list[int], documents: pl.Series) -> dict[int, str]:
    """Return the texts of the train documents with these ascending indices. Only shards that hold one are read. counts:
    of `train_counts`."""
    texts: dict[int, str] = {}
    first = 0
    for part, count in zip(parts(source), counts, strict=True):
        here = documents.filter((documents >= first) & (documents < first + count)).to_list()
        if here:
            text = read(part, ["text", "split"]).filter(pl.col("split") == "train")["text"]
            texts |= dict(zip(here, text.gather([i - first for i in here]), strict=True))
        first += count
    return texts


def domain_of(source: Path) -> str | None:
    """Return the domain of a source's documents; None when there are no documents."""
    for part in parts(source):
        domains = read(part, ["domain"])["domain"]
        if len(domains):
            return domains[0]
    return None
