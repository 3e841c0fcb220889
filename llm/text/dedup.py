"""Duplicates among all documents: exact by digest, near by MinHash-LSH with the true Jaccard similarity as judge.

Bands of a signature (Indyk and Motwani 1998; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4) only
propose pairs: a pair of similarity s shares one of b bands of r rows with probability 1 - (1 - s^r)^b, for 28 bands of
4 and s = 0.8 all but 4 in 10 million. A proposed pair counts if the Jaccard similarity of its shingle sets reaches the
threshold. Clusters are the connected components. Everything is decided on digests in sorted order, so neither the order
of sources and shards nor that of documents matters. Drops nothing: it says which document of a cluster to keep.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from kernels.minhash import NO_SHINGLE, mix64, shingles
from llm.errors import InputError


def find_duplicates(
    ids: Sequence[str],
    digests: Sequence[str],
    texts: pl.Series,
    signatures: np.ndarray,
    *,
    bands: int,
    rows: int,
    threshold: float,
    max_bucket: int,
    shingle_words: int,
) -> tuple[pl.DataFrame, dict]:
    """A table of the documents in the order given (id, cluster, keep, reason) and counts.

    ids: unique; digests: sha256 hex of each text; texts: polars String [n]; signatures u32 [n, permutations].
    bands, rows: of LSH; max_bucket: so many members of a bucket are compared all with all, the rest of a larger one
    only with these (the ones of smallest digest). cluster: the smallest digest of its texts. keep: true for
    one document of a cluster, the longest (bytes; then the smallest digest, then the smallest id). reason: "exact"
    where an equal text stands for it, else "near", else null. More rows than the signature has: InputError.
    """
    if bands * rows > signatures.shape[1]:
        raise InputError(
            f"process.duplicates: {bands} bands of {rows} rows need {bands * rows} permutations, process.minhash has "
            f"{signatures.shape[1]}; lower bands or rows, or raise permutations"
        )
    # one row per distinct text, in the order of digests: the id decides between equal texts
    frame = pl.DataFrame({"id": ids, "sha256": digests}).with_row_index("row")
    distinct = frame.sort("sha256", "id").unique("sha256", keep="first", maintain_order=True)
    row = distinct["row"].to_numpy()
    pairs, n_oversized = candidates(signatures[row], bands=bands, rows=rows, max_bucket=max_bucket)
    root, compared = components(len(row), pairs, texts.gather(row), threshold=threshold, shingle_words=shingle_words)

    length = texts.str.len_bytes().gather(row).to_numpy()
    # distinct is in the order of digests, so the first of the longest has the smallest digest of these
    order = np.lexsort((np.arange(len(row)), -length.astype(np.int64), root))
    best = np.zeros(len(row), dtype=bool)
    best[order[np.diff(root[order], prepend=-1) != 0]] = True
    representative = distinct.select(
        "sha256",
        pl.col("id").alias("representative"),
        pl.Series("cluster", distinct["sha256"].gather(root)),
        pl.Series("best", best),
    )
    is_representative = pl.col("id") == pl.col("representative")
    table = frame.join(representative, on="sha256", how="left", maintain_order="left").select(
        "id",
        "cluster",
        keep=is_representative & pl.col("best"),
        reason=pl.when(~is_representative).then(pl.lit("exact")).when(~pl.col("best")).then(pl.lit("near")),
    )
    return table, {
        "documents": len(frame),
        "distinct": len(row),
        "clusters": len(np.unique(root)),
        "candidate_pairs": len(pairs),
        "compared_pairs": compared,
        "oversized_buckets": n_oversized,
        "exact": int((table["reason"] == "exact").sum()),
        "near": int((table["reason"] == "near").sum()),
    }


def candidates(signatures: np.ndarray, *, bands: int, rows: int, max_bucket: int) -> tuple[np.ndarray, int]:
    """Pairs i < j that share a band, i64 [n_pairs, 2], sorted, each once; and how many buckets were too large."""
    n = len(signatures)
    documents = np.flatnonzero((signatures != NO_SHINGLE).any(axis=1))  # nothing to compare in the others
    found: list[np.ndarray] = []
    oversized = 0
    for band in range(bands):
        key = np.zeros(len(documents), dtype=np.uint64)
        for component in signatures[documents, band * rows : (band + 1) * rows].T:
            key = mix64(key + component.astype(np.uint64) + np.uint64(1))
        order = np.argsort(key, kind="stable")
        border = np.flatnonzero(np.diff(key[order]) != 0) + 1
        start = np.concatenate([[0], border]) if len(order) else border
        size = np.diff(np.append(start, len(order)))
        members = documents[order]
        for count in np.unique(size[size > 1]):
            # the buckets of one size at once: [n_buckets, size], members ascending because the sort is stable
            bucket = members[start[size == count][:, None] + np.arange(count)]
            i, j = np.triu_indices(count, 1)
            if count > max_bucket:
                oversized += len(bucket)
                i, j = i[i < max_bucket], j[i < max_bucket]
            found.append((bucket[:, i] * n + bucket[:, j]).ravel())
        if len(found) > 8:  # the same pairs come in many bands: do not hold them all
            found = [np.unique(np.concatenate(found))]
    pairs = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    return np.stack([pairs // max(n, 1), pairs % max(n, 1)], axis=1), oversized


def components(
    n: int, pairs: np.ndarray, texts: pl.Series, *, threshold: float, shingle_words: int
) -> tuple[np.ndarray, int]:
    """The smallest member of each document's cluster, i64 [n], and how many pairs were compared.

    pairs i64 [n_pairs, 2] are candidates; union-find with path halving over those that are similar. A pair that is
    connected already needs no comparison: thousands of equal licence headers cost as many, not their square.
    """
    documents, index = np.unique(pairs, return_inverse=True)
    values, offsets = shingle_sets(texts.gather(documents), shingle_words)
    index = index.reshape(pairs.shape)
    sizes = np.diff(offsets)[index]
    # the similarity is at most the quotient of the sizes
    possible = sizes.min(axis=1, initial=1 << 62) >= threshold * sizes.max(axis=1, initial=0)
    parent = list(range(n))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    compared = 0
    for (i, j), (a, b) in zip(pairs[possible].tolist(), index[possible].tolist(), strict=True):
        root_i, root_j = find(i), find(j)
        if root_i == root_j:
            continue
        compared += 1
        if jaccard(values[offsets[a] : offsets[a + 1]], values[offsets[b] : offsets[b + 1]]) >= threshold:
            parent[max(root_i, root_j)] = min(root_i, root_j)
    return np.array([find(node) for node in range(n)], dtype=np.int64), compared


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """|a and b| / |a or b| of two arrays without repetitions; 0 of two empty ones."""
    shared = np.intersect1d(a, b, assume_unique=True).size
    return shared / max(len(a) + len(b) - shared, 1)


def shingle_sets(texts: pl.Series, shingle_words: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct shingle hashes of each text, sorted within it: u64 [n], and their offsets i64 [n_texts + 1]."""
    values, offsets = shingles(*byte_buffer(texts), shingle_words)
    owner = np.repeat(np.arange(len(texts)), np.diff(offsets))
    order = np.lexsort((values, owner))
    values, owner = values[order], owner[order]
    first = np.ones(len(values), dtype=bool)
    first[1:] = (np.diff(owner) != 0) | (values[1:] != values[:-1])
    counts = np.bincount(owner[first], minlength=len(texts))
    return values[first], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def byte_buffer(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """UTF-8 of all texts one after the other u8 [n_bytes], and where each begins i64 [n_texts + 1]."""
    data = np.frombuffer("".join(texts.to_list()).encode(), dtype=np.uint8)
    return data, np.concatenate([[0], np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64))]).astype(np.int64)
