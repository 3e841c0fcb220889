"""Clusters duplicates among all documents, and chooses which document of each cluster to keep.

Equal texts are joined by their SHA-256, similar ones by the edges that other jobs found. All is decided on digests, so
the order of sources, shards and documents does not matter, nor how many jobs found the edges.
"""

import numpy as np
import polars as pl

from kernels.duplicates import components
from llm.errors import InputError

ROWS = 1 << 16  # digests converted to text at once


def clusters(documents: pl.DataFrame, edges: pl.DataFrame) -> tuple[pl.DataFrame, dict]:
    """Return a table of the documents in the order given (id, cluster, keep, reason), and counts.

    documents: id (unique), digest and bytes as of llm/process/dedup/lsh.py, quality (f64, may be null). edges: pairs of
    names (a, b). cluster: the smallest digest (hex) of its texts. keep: true for one member of a cluster, the one of
    best quality (ties: most bytes, smallest digest, smallest id). reason: "exact" where an equal text is its
    representative, else "near", else null.

    Two texts may share a name by chance, once in 2^64 pairs, or by design: edges of such a name are left out
    (`ambiguous_edges`). Raises InputError for an edge of a name that no document has.
    """
    digest = documents["digest"].to_numpy().reshape(-1, 4)
    quality = -documents["quality"].to_numpy()  # null becomes NaN, which comes last
    order = np.argsort(digest[:, 0], kind="stable")
    same = np.diff(digest[order, 0]) == 0
    tied = np.append(same, False) | np.append(False, same) if len(order) else order > 0
    rows = order[tied]  # few: ids and the rest of the digest decide among them alone
    ids = documents["id"].gather(rows).rank("ordinal").to_numpy()
    order[tied] = rows[np.lexsort((ids, quality[rows], *digest[rows].T[::-1]))]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(digest[order], axis=0) != 0).any(axis=1)
    best = order[new]  # each text's representative; texts are ascending by digest
    text = np.empty(len(order), dtype=np.int64)
    text[order] = np.cumsum(new) - 1

    names, pairs = np.ascontiguousarray(digest[best, 0]), edges.select("a", "b").to_numpy()
    at, end = (np.searchsorted(names, pairs, side) for side in ("left", "right"))
    if (at == end).any():
        raise InputError("deduplicate: edges name documents that no source has; rebuild results/edges")
    clear = (end - at == 1).all(axis=1)
    root, _ = components(len(best), at[clear])

    order = np.lexsort((-documents["bytes"].to_numpy()[best], quality[best], root))
    kept = best[order[np.diff(root[order], prepend=-1) != 0]]
    stands, keep = np.zeros((2, len(text)), dtype=bool)
    stands[best] = keep[kept] = True
    leaders = np.split(best[root[text]], range(ROWS, len(text), ROWS))
    table = documents.select(
        "id",
        pl.concat([hexadecimal(digest[rows]) for rows in leaders]).alias("cluster"),
        pl.Series("keep", keep),
        pl.Series("reason", ["exact", "near", None]).gather(stands.astype(np.uint8) + keep),
    )
    return table, {
        "documents": len(text),
        "distinct": len(best),
        "clusters": len(kept),
        "exact": len(text) - len(best),
        "near": len(best) - len(kept),
        "ambiguous_edges": int((~clear).sum()),
    }


def hexadecimal(digests: np.ndarray) -> pl.Series:
    """Return digests u64 [n, 4] as 64 hex digits each, without making Python strings."""
    data = digests.astype(">u8").view(np.uint8).reshape(-1, 32)
    return pl.Series(data, dtype=pl.Array(pl.UInt8, 32)).arr.to_list().cast(pl.Binary).bin.encode("hex")
