"""Finds candidate duplicates by locality-sensitive hashing: keys of the signatures' bands, and pairs that share one.

A document is known by its `name`, the first 8 bytes of its text's SHA-256 as a number: equal texts have one name, and
the order of sources, shards and documents does not matter. Texts are neither read nor compared here.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from kernels.duplicates import are_empty, band_keys, bucket_pairs, repeated
from kernels.minhash import NO_SHINGLE
from llm.errors import InputError

DIGEST = pl.Array(pl.UInt64, 4)
PAIRS = 1 << 23  # pairs made at once: 128 MB


def facts(documents: pl.DataFrame) -> pl.DataFrame:
    """Return the table that deduplication needs beside the texts: `id`; `digest`, the sha256 as four big-endian
    numbers, the first of them the name; `bytes` of the text. documents: id, sha256, text."""
    digest = np.frombuffer(bytes.fromhex(documents["sha256"].str.join("").item()), dtype=">u8").reshape(-1, 4)
    return documents.select(
        "id",
        pl.Series("digest", digest.astype(np.uint64), dtype=DIGEST),
        bytes=pl.col("text").str.len_bytes().cast(pl.Int64),
    )


def names(table: pl.DataFrame) -> np.ndarray:
    """Return the names u64 [n] of the documents in a table of facts."""
    return np.ascontiguousarray(table["digest"].to_numpy().reshape(-1, 4)[:, 0])


def check_bands(bands: int, rows: int, permutations: int) -> None:
    """Raise InputError if the bands have more rows than a signature has."""
    if bands * rows > permutations:
        raise InputError(
            f"process.duplicates: {bands} bands of {rows} rows need {bands * rows} permutations, process.minhash has "
            f"{permutations}; lower bands or rows, or raise permutations"
        )


def keys(names: np.ndarray, signatures: np.ndarray, *, bands: int, rows: int) -> pl.DataFrame:
    """Return `key` and `name` (UInt64) of each band of each document; a document without shingles has none.

    names u64 [n]; signatures u32 [n, permutations].
    """
    empty = are_empty(signatures, NO_SHINGLE)
    if empty.any():
        names, signatures = names[~empty], signatures[~empty]
    return pl.DataFrame({"key": band_keys(signatures, bands, rows).ravel(), "name": np.repeat(names, bands)})


def pairs(entries: pl.DataFrame, *, max_bucket: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield pairs of names `a` < `b` that share a key, in tables of distinct pairs (two tables may have the same pair),
    and the number of buckets larger than `max_bucket`; at least one table.

    entries: key, name, with all entries of each key. max_bucket: that many members of a bucket (those of smallest name)
    are all paired with each other; in a larger bucket the rest are paired with these only.
    """
    key, name = entries["key"].to_numpy(), entries["name"].to_numpy()
    shared = repeated(key)
    key, name = key[shared], name[shared]
    order = np.lexsort((name, key))
    key, name = key[order], name[order]
    new = np.append(True, (np.diff(key) != 0) | (np.diff(name) != 0)) if len(key) else np.zeros(0, dtype=bool)
    key, name = key[new], name[new]
    begin = 0
    while True:
        found, begin, larger = bucket_pairs(key, name, max_bucket, begin, max(PAIRS, max_bucket))
        yield pl.DataFrame({"a": found[:, 0], "b": found[:, 1]}).unique().sort("a", "b"), larger
        if begin == len(key):
            return
