"""Clusters of duplicates among all documents, and which document of each to keep. Drops nothing.

Equal texts are one by their SHA-256; similar ones are joined by the edges that other jobs found. All is decided on
digests, so neither the order of sources and shards nor that of documents matters, nor how many jobs found the edges.
"""

import numpy as np
import polars as pl

from kernels.duplicates import components


def clusters(documents: pl.DataFrame, edges: pl.DataFrame) -> tuple[pl.DataFrame, dict]:
    """A table of the documents in the order given (id, cluster, keep, reason) and counts.

    documents: id (unique), digest and bytes as of llm/text/candidates.py, quality (f64, may be null).
    edges: pairs of names (a, b). cluster: the smallest digest (hex) of its texts. keep: true for one member of a
    cluster, that of the best quality (then the longest in bytes, then of the smallest digest, then of the smallest id).
    reason: "exact" where an equal text stands for it, else "near", else null.

    Two texts that differ may share a name, once in 2^64 pairs, or because someone made them so: edges of such a name
    are left out (`ambiguous_edges`).
    """
    digest = documents["digest"].to_numpy().reshape(-1, 4)
    order = np.lexsort(digest.T[::-1])
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(digest[order], axis=0) != 0).any(axis=1)
    text = np.empty(len(order), dtype=np.int64)
    text[order] = np.cumsum(new) - 1
    distinct = np.ascontiguousarray(digest[order[new]])

    name, first, count = np.unique(distinct[:, 0], return_index=True, return_counts=True)
    pairs = edges.select("a", "b").to_numpy()
    at = np.searchsorted(name, pairs)
    clear = (count[at] == 1).all(axis=1)
    root, _ = components(len(distinct), first[at[clear]])

    cluster = hexadecimal(distinct[np.unique(root)])
    del digest, order, new, distinct, name, first, count
    table = documents.select("id", "bytes", "quality").with_columns(
        row=pl.Series(np.arange(len(documents))), text=pl.Series(text), root=pl.Series(root[text])
    )
    # the first of a cluster is kept, the first of a text stands for its equals
    table = table.sort(
        "root", "quality", "bytes", "text", "id", descending=[False, True, True, False, False], nulls_last=True
    ).with_columns(keep=pl.col("root").is_first_distinct(), stands=pl.col("text").is_first_distinct())
    table = table.sort("row").select(
        "id",
        pl.Series("cluster", cluster.gather(np.unique(root[text], return_inverse=True)[1])),
        "keep",
        reason=pl.when(~pl.col("stands")).then(pl.lit("exact")).when(~pl.col("keep")).then(pl.lit("near")),
    )
    return table, {
        "documents": len(table),
        "distinct": len(root),
        "clusters": len(cluster),
        "exact": int((table["reason"] == "exact").sum()),
        "near": int((table["reason"] == "near").sum()),
        "ambiguous_edges": int((~clear).sum()),
    }


def hexadecimal(digests: np.ndarray) -> pl.Series:
    """Digests u64 [n, 4] as 64 hex digits each, without a Python string for any of them."""
    data = digests.astype(">u8").view(np.uint8).reshape(-1, 32)
    return pl.Series(data, dtype=pl.Array(pl.UInt8, 32)).arr.to_list().cast(pl.Binary).bin.encode("hex")
