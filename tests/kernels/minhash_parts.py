"""Parts of MinHash that nothing but its tests and benchmarks needs alone."""

import numpy as np

from kernels.jit import jit
from kernels.minhash import NO_SHINGLE, join, lower, scratch, tokens


@jit
def shingles(data, offsets, words=5):
    """Return the hashes u64 [n_shingles] of the documents' shingles, in text order with repetitions, and where each
    document's begin, i64 [n_documents + 1]."""
    starts, hashes, joined, _ = scratch(offsets)
    room = 0
    for document in range(len(offsets) - 1):
        room += (offsets[document + 1] - offsets[document] + 1) // 2
    result = np.empty(room, dtype=np.uint64)
    borders = np.zeros(len(offsets), dtype=np.int64)
    for document in range(len(offsets) - 1):
        n = join(hashes, tokens(data, offsets[document], offsets[document + 1], starts, hashes), words, joined)
        begin = borders[document]
        result[begin : begin + n] = joined[:n]
        borders[document + 1] = begin + n
    return result[: borders[-1]], borders


@jit
def minima(values, offsets, a, b):
    """Return the minimum over each document's values of (a * value + b) mod 2^32: u32 [n_documents, permutations].

    values u32 [n_values]; offsets i64 [n_documents + 1].
    """
    result = np.full((len(offsets) - 1, len(a)), NO_SHINGLE, dtype=np.uint32)
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        x = np.empty(end - begin + 7, dtype=np.uint32)
        x[: end - begin] = values[begin:end]
        lower(x, end - begin, a, b, result[document])
    return result
