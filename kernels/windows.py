"""Cuts documents into content-defined windows, hashed: stretches of at least so many bytes between two anchors.

An anchor is the start of a token whose hash is the smallest among `density` neighbours (winnowing: Schleimer, Wilkerson
and Aiken 2003; the last of equal ones), so it depends only on the text around it. A window goes from an anchor to the
first anchor at least `least` bytes behind it: a stretch that two texts share, longer than `least` by 2 * density tokens
and the windows' overhang, holds a window of both. Windows are compared in llm/process/dedup/substrings.py.
"""

import numpy as np

from kernels.jit import jit
from kernels.minhash import BYTE_BASE, scratch, tokens
from kernels.splitmix import mix64


@jit
def anchors(starts, hashes, n, density, out):
    """Fill out i64 with the byte places of a document's anchors, ascending; return how many. starts, hashes: of
    tokens."""
    found, last = 0, -1
    for begin in range(n - density + 1):
        best = begin
        for i in range(begin + 1, begin + density):
            if hashes[i] <= hashes[best]:
                best = i
        if best != last:
            out[found] = starts[best]
            found += 1
            last = best
    return found


@jit
def windows(data, offsets, least, density=8):
    """Return all windows of all documents: key u64, document i64, start and end i64 in characters of the document.

    data u8 [n_bytes], offsets i64 [n_documents + 1]: UTF-8; least: bytes of a window; density: see above.
    """
    starts, hashes, _, _ = scratch(offsets)
    places = np.empty_like(starts)
    room = len(data) // 2 + 1
    key, owner = np.empty(room, dtype=np.uint64), np.empty(room, dtype=np.int64)
    begin, end = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
    rolled, chars = np.empty(len(starts), dtype=np.uint64), np.empty(len(starts), dtype=np.int64)
    n = 0
    for document in range(len(offsets) - 1):
        n_tokens = tokens(data, offsets[document], offsets[document + 1], starts, hashes)
        n_anchors = anchors(starts, hashes, n_tokens, density, places)
        h, at, char = np.uint64(0), offsets[document], 0
        for i in range(n_anchors):  # the polynomial hash and the characters of the text before each anchor
            while at < places[i]:
                h = h * BYTE_BASE + np.uint64(data[at])
                char += (data[at] & 0xC0) != 0x80
                at += 1
            rolled[i], chars[i] = h, char
        stop = 0
        for i in range(n_anchors):
            while stop < n_anchors and places[stop] - places[i] < least:
                stop += 1
            if stop == n_anchors:
                break
            size = places[stop] - places[i]
            key[n] = mix64(rolled[stop] - rolled[i] * power(BYTE_BASE, size))
            owner[n], begin[n], end[n] = document, chars[i], chars[stop]
            n += 1
    return key[:n], owner[:n], begin[:n], end[:n]


@jit
def power(base, exponent):
    """Return base^exponent modulo 2^64."""
    result = np.uint64(1)
    while exponent:
        if exponent & 1:
            result = result * base
        base = base * base
        exponent >>= 1
    return result
