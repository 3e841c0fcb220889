"""Inner loops of deduplication on plain arrays: keys of bands, pairs of buckets, similarity of sets, union-find.

Bands of a signature (Indyk and Motwani 1998; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4) propose
pairs: a pair of similarity s shares one of b bands of r rows with probability 1 - (1 - s^r)^b. Which documents stand
behind the arrays, and what becomes of duplicates, is decided in llm/process/dedup.
"""

import numpy as np

from kernels.jit import jit
from kernels.minhash import join as join_tokens
from kernels.minhash import scratch, tokens
from kernels.splitmix import mix64

MIDDLE = np.uint64(16)


@jit
def repeated(keys):
    """Return which keys u64 [n] may stand more than once, bool [n]: all that do, and a few that share a bit with
    another. So the rest need not be sorted. The bits are those in a key's middle: its upper ones are one range's, its
    lower ones one slice's."""
    size = 64
    while size < 16 * len(keys):
        size *= 2
    once, twice = np.zeros(size // 64, dtype=np.uint64), np.zeros(size // 64, dtype=np.uint64)
    mask = np.uint64(size - 1)
    for key in keys:
        at = key >> MIDDLE & mask
        word, bit = np.int64(at >> np.uint64(6)), np.uint64(1) << (at & np.uint64(63))
        twice[word] |= once[word] & bit
        once[word] |= bit
    result = np.empty(len(keys), dtype=np.bool_)
    for i in range(len(keys)):
        at = keys[i] >> MIDDLE & mask
        result[i] = twice[np.int64(at >> np.uint64(6))] >> (at & np.uint64(63)) & np.uint64(1)
    return result


@jit
def are_empty(signatures, value):
    """Return which signatures u32 [n, permutations] are `value` throughout, bool [n]."""
    result = np.empty(len(signatures), dtype=np.bool_)
    for i in range(len(signatures)):
        k = 0
        while k < signatures.shape[1] and signatures[i, k] == value:
            k += 1
        result[i] = k == signatures.shape[1]
    return result


@jit
def band_keys(signatures, bands, rows):
    """Return one hash of each band's number and components: u64 [n, bands]. signatures u32 [n, bands * rows or
    more]."""
    result = np.empty((len(signatures), bands), dtype=np.uint64)
    for i in range(len(signatures)):
        for band in range(bands):
            key = mix64(np.uint64(band + 1))
            for component in signatures[i, band * rows : (band + 1) * rows]:
                key = mix64(key + np.uint64(component) + np.uint64(1))
            result[i, band] = key
    return result


@jit
def bucket_pairs(keys, members, max_bucket, begin, limit):
    """Return pairs from buckets, u64 [n, 2] of members, from entry `begin` on; the entry to continue with; and the
    number of buckets larger than `max_bucket`.

    keys, members u64 [n_entries], ascending by both, without repetitions: a bucket is a run of one key. Each entry is
    paired with the first `max_bucket` before it in its bucket, so all are with all in a bucket that is not larger. Ends
    before there would be more than `limit` pairs, at least `max_bucket`.
    """
    first = begin
    while 0 < first < len(keys) and keys[first - 1] == keys[begin]:
        first -= 1
    start, n, end = first, 0, begin
    while end < len(keys):
        if keys[end] != keys[start]:
            start = end
        if n + min(end - start, max_bucket) > limit:
            break
        n += min(end - start, max_bucket)
        end += 1
    result = np.empty((n, 2), dtype=np.uint64)
    start, n, larger = first, 0, 0
    for i in range(begin, end):
        if keys[i] != keys[start]:
            start = i
        larger += i - start == max_bucket
        for j in range(start, min(i, start + max_bucket)):
            result[n, 0], result[n, 1] = members[j], members[i]
            n += 1
    return result, end, larger


@jit
def find(parent, node):
    """Return the root of a node in a union-find forest, halving the path to it."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@jit
def join(parent, a, b):
    """Join the trees of two nodes under the smaller root; return whether they were two."""
    a, b = find(parent, a), find(parent, b)
    parent[max(a, b)] = min(a, b)
    return a != b


@jit
def components(n, pairs):
    """Return the smallest node of each node's component, i64 [n], and which pairs span them as a forest, bool
    [n_pairs].

    pairs i64 [n_pairs, 2].
    """
    parent = np.arange(n)
    joined = np.empty(len(pairs), dtype=np.bool_)
    for i in range(len(pairs)):
        joined[i] = join(parent, pairs[i, 0], pairs[i, 1])
    for node in range(n):
        parent[node] = find(parent, node)
    return parent, joined


@jit
def room_for(n):
    """Return the size of a hash table for n values: a power of two, at least 2n."""
    size = 2
    while size < 2 * n:
        size *= 2
    return size


@jit
def insert(table, owner, mark, mask, value):
    """Insert a value u64 into the open-addressing table that `mark` owns; return whether it was new."""
    slot = np.int64(value & np.uint64(mask))
    while owner[slot] == mark:
        if table[slot] == value:
            return False
        slot = (slot + 1) & mask
    owner[slot] = mark
    table[slot] = value
    return True


@jit
def holds(table, owner, mark, mask, value):
    """Does the table that `mark` owns hold a value u64?"""
    slot = np.int64(value & np.uint64(mask))
    while owner[slot] == mark:
        if table[slot] == value:
            return True
        slot = (slot + 1) & mask
    return False


@jit
def tables(offsets):
    """Make a hash table for the largest set: values u64 and owners i64, -1 for none."""
    largest = 0
    for i in range(len(offsets) - 1):
        largest = max(largest, offsets[i + 1] - offsets[i])
    size = room_for(largest)
    return np.empty(size, dtype=np.uint64), np.full(size, -1, dtype=np.int64)


@jit
def shingle_sets(data, offsets, words):
    """Return the sets of the documents' shingles, without repetitions, each in text order: values u64 and offsets i64
    [n_documents + 1].

    data u8 [n_bytes], offsets i64 [n_documents + 1]: UTF-8; words: tokens in a shingle.
    """
    starts, hashes, joined, _ = scratch(offsets)
    size = room_for(len(joined))
    table, owner = np.empty(size, dtype=np.uint64), np.full(size, -1, dtype=np.int64)
    room = 0
    for i in range(len(offsets) - 1):
        room += (offsets[i + 1] - offsets[i] + 1) // 2
    values = np.empty(room, dtype=np.uint64)
    borders = np.zeros(len(offsets), dtype=np.int64)
    n = 0
    for i in range(len(offsets) - 1):
        found = join_tokens(hashes, tokens(data, offsets[i], offsets[i + 1], starts, hashes), words, joined)
        mask = room_for(found) - 1
        for k in range(found):
            if insert(table, owner, i, mask, joined[k]):
                values[n] = joined[k]
                n += 1
        borders[i + 1] = n
    return values[:n], borders


@jit
def needed(m: int, n: int, threshold: float) -> int:
    """Return the smallest number of common elements, at least 1, that gives sets of m and n a Jaccard similarity of
    `threshold`."""
    common = max(int((m + n) * threshold / (1 + threshold)) - 1, 1)
    while common < m + n and common / (m + n - common) < threshold:
        common += 1
    return common


@jit
def join_similar(parent, nodes, lists, values, offsets, threshold):
    """Join in `parent` the nodes i64 [n_pairs, 2] whose sets have a Jaccard similarity of at least `threshold`; return
    which pairs joined two trees, bool [n_pairs], and how many were compared.

    lists i64 [n_pairs, 2]: where the pairs' sets are in values u64 and offsets i64 (of `shingle_sets`), best sorted by
    the first. Nodes that are joined already are not compared: thousands of equal licence headers cost as many, not
    their square. Nor are sets whose sizes alone say no.
    """
    table, owner = tables(offsets)
    joined = np.zeros(len(nodes), dtype=np.bool_)
    held, compared, mask = -1, 0, 0
    for i in range(len(nodes)):
        a, b = lists[i, 0], lists[i, 1]
        m, n = offsets[a + 1] - offsets[a], offsets[b + 1] - offsets[b]
        need = needed(m, n, threshold)
        if need > min(m, n) or find(parent, nodes[i, 0]) == find(parent, nodes[i, 1]):
            continue
        compared += 1
        front, back = ends_in_common(values[offsets[a] : offsets[a + 1]], values[offsets[b] : offsets[b + 1]])
        if front + back < need and a != held:
            held, mask = a, room_for(m) - 1
            for k in range(offsets[a], offsets[a + 1]):
                insert(table, owner, a, mask, values[k])
        spare = n - need  # b may have so many elements that a lacks
        if front + back < need:
            for k in range(offsets[b] + front, offsets[b + 1] - back):
                spare -= not holds(table, owner, a, mask, values[k])
                if spare < 0:
                    break
        if spare >= 0:
            joined[i] = join(parent, nodes[i, 0], nodes[i, 1])
    return joined, compared


@jit
def ends_in_common(a, b):
    """Return how many elements two lists u64 have in common at their beginning, and how many of the others at their
    end: near duplicates most of them, and no table is needed to see it."""
    shorter = min(len(a), len(b))
    front = back = 0
    while front < shorter and a[front] == b[front]:
        front += 1
    while back < shorter - front and a[len(a) - 1 - back] == b[len(b) - 1 - back]:
        back += 1
    return front, back
