"""Which documents may be duplicates: the keys of their signatures' bands, and the pairs that share one.

A document is known by the first 8 bytes of its text's SHA-256 as a number, its `name`: equal texts are one, and neither
the order of sources and shards nor that of documents matters. Reads and compares no text.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from kernels.duplicates import band_keys, bucket_pairs
from kernels.minhash import NO_SHINGLE
from llm.errors import InputError

DIGEST = pl.Array(pl.UInt64, 4)
PAIRS = 1 << 23  # made at once: 128 MB


def facts(documents: pl.DataFrame) -> pl.DataFrame:
    """What is asked of each document beside its text: `id`; `digest`, its sha256 as four big-endian numbers, the first
    of them its name; `bytes` of its text. documents: id, sha256, text."""
    digest = np.frombuffer(bytes.fromhex(documents["sha256"].str.join("").item()), dtype=">u8").reshape(-1, 4)
    return documents.select(
        "id",
        pl.Series("digest", digest.astype(np.uint64), dtype=DIGEST),
        bytes=pl.col("text").str.len_bytes().cast(pl.Int64),
    )


def names(table: pl.DataFrame) -> np.ndarray:
    """The names u64 [n] of the documents in a table of facts."""
    return np.ascontiguousarray(table["digest"].to_numpy().reshape(-1, 4)[:, 0])


def check_bands(bands: int, rows: int, permutations: int) -> None:
    """More rows than a signature has: InputError."""
    if bands * rows > permutations:
        raise InputError(
            f"process.duplicates: {bands} bands of {rows} rows need {bands * rows} permutations, process.minhash has "
            f"{permutations}; lower bands or rows, or raise permutations"
        )


def keys(names: np.ndarray, signatures: np.ndarray, *, bands: int, rows: int) -> pl.DataFrame:
    """`key` and `name` (UInt64) of each band of each document; a document without shingles has none.

    names u64 [n]; signatures u32 [n, permutations].
    """
    filled = (signatures != NO_SHINGLE).any(axis=1)
    found = band_keys(signatures[filled], bands, rows)
    return pl.DataFrame({"key": found.ravel(), "name": np.repeat(names[filled], bands)})


def pairs(entries: pl.DataFrame, *, max_bucket: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """Pairs of names `a` < `b` that share a key, in tables without repetitions (two tables may hold the same pair), and
    how many buckets were larger than `max_bucket`; at least one table.

    entries: key, name, with all entries of each key. max_bucket: so many members of a bucket are compared all with all,
    the rest of a larger one only with these, the ones of smallest name.
    """
    key, name = entries["key"].to_numpy(), entries["name"].to_numpy()
    order = np.argsort(key)
    same = np.diff(key[order]) == 0
    shared = order[np.append(same, False) | np.append(False, same)] if len(key) else order
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
