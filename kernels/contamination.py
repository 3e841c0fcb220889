"""Hashes the words of documents and looks up which of their n-grams are in a table, to find held-out text in a corpus.

Defined to the bit, so that another implementation can be equal:

1. Bytes of UTF-8, ASCII upper case lowered. Word bytes are 0-9, a-z and everything from 0x80, but for the characters
   U+0080-U+00BF, U+2000-U+207F and U+3000-U+303F (punctuation: a curly quote is as little of a word as a straight one).
   All else separates, `_` too. Every character from U+3040 on is a word by itself: CJK has no spaces.
2. Hash of a word: h = 0; for each byte h = h * BASE + byte; then `finalized`. All modulo 2^64.
3. Hash of an n-gram: s = 0; for each word s = s * BASE + its hash; then `finalized`, and 0 becomes 1.

Equal hashes stand for equal n-grams: when 10^10 are looked up among 10^7, a false one is met in one run of 180.
"""

import numpy as np

from kernels.jit import jit
from kernels.splitmix import mix64

BASE = np.uint64(0x9E3779B97F4A7C15)
SEPARATOR, WORD, SOLO, UNDECIDED = 0, 1, 2, 3
FILTER_BITS = 32  # bits of the filter for each n-gram: 1 in 32 of the absent ones go on to the table


def word_hashes(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes u64 [n_words] of all documents' words in text order, and where each document's begin, i64
    [n_documents + 1].

    data u8 [n_bytes]: the documents' UTF-8 one after the other; offsets i64 [n_documents + 1]: where each begins.
    """
    # A word and the byte that ends it: at least two bytes.
    words = np.empty(len(data) // 2 + len(offsets), dtype=np.uint64)
    word_offsets = np.zeros(len(offsets), dtype=np.int64)
    n = find_words(data, offsets, KIND, LOWER, LENGTH, words, word_offsets)
    return words[:n], word_offsets


@jit
def find_words(data, offsets, kinds, lower, length, words, word_offsets):
    """Fill words u64 and word_offsets i64; return the number of words."""
    n = 0
    for document in range(len(offsets) - 1):
        at, end = offsets[document], offsets[document + 1]
        h, inside = np.uint64(0), False
        while at < end:
            byte = data[at]
            kind = kinds[byte]
            if (
                kind == UNDECIDED
            ):  # by the second byte: U+2000-U+207F begin with E2 80 and E2 81, U+3000-U+303F with E3 80
                second = data[at + 1] if at + 1 < end else np.uint8(0xFF)
                if byte == 0xE2:
                    kind = SEPARATOR if second <= 0x81 else WORD
                else:
                    kind = SEPARATOR if second == 0x80 else SOLO
            if kind == WORD:
                h = h * BASE + np.uint64(lower[byte])
                inside = True
                at += 1
                continue
            if inside:
                words[n] = mix64(h)
                n += 1
                h, inside = np.uint64(0), False
            after = min(at + length[byte], end)
            if kind == SOLO:
                for i in range(at, after):
                    h = h * BASE + np.uint64(data[i])
                words[n] = mix64(h)
                n += 1
                h = np.uint64(0)
            at = after
        if inside:
            words[n] = mix64(h)
            n += 1
        word_offsets[document + 1] = n
    return n


def gram_hashes(words: np.ndarray, word_offsets: np.ndarray, n: int, least: int) -> tuple[np.ndarray, ...]:
    """Return the n-grams of items: hashes u64 [n_grams], lengths i64 [n_grams] in words, items i64 [n_grams].

    An item of fewer than n words, but at least `least`, is one gram as a whole; a shorter one has none.
    words u64, word_offsets i64 [n_items + 1]: of `word_hashes`.
    """
    sizes = np.diff(word_offsets)
    counts = np.where(sizes >= n, sizes - n + 1, (sizes >= least).astype(np.int64))
    items = np.repeat(np.arange(len(sizes)), counts)
    lengths = np.minimum(sizes[items], n)
    first = np.concatenate([[0], np.cumsum(counts)])[items]
    starts = word_offsets[items] + np.arange(len(items)) - first
    return hash_grams(words, starts, lengths), lengths, items


@jit
def hash_grams(words, starts, lengths):
    """Return the hashes u64 [n] of the n-grams words[start : start + length]."""
    result = np.empty(len(starts), dtype=np.uint64)
    for i in range(len(starts)):
        s = np.uint64(0)
        for k in range(starts[i], starts[i] + lengths[i]):
            s = s * BASE + words[k]
        result[i] = max(mix64(s), np.uint64(1))
    return result


def gram_table(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a table to look up distinct n-grams in: keys u64 [size], the row of `hashes` in each slot i64 [size], and a
    bit filter u64 [words] in front of it. hashes u64 [n]: distinct, not 0."""
    bits = max(6, int(np.ceil(np.log2(max(len(hashes), 1) * FILTER_BITS))))
    keys = np.zeros(1 << max(1, int(np.ceil(np.log2(max(len(hashes), 1)))) + 1), dtype=np.uint64)  # at most half full
    rows = np.zeros(len(keys), dtype=np.int64)
    bloom = np.zeros(1 << (bits - 6), dtype=np.uint64)
    fill_table(hashes, keys, rows, bloom)
    return keys, rows, bloom


@jit
def fill_table(hashes, keys, rows, bloom):
    """Fill a table by open addressing with linear probing. A key's low bits select the slot, its high bits the filter's
    bit."""
    mask = np.uint64(len(keys) - 1)
    for i in range(len(hashes)):
        slot = hashes[i] & mask
        while keys[slot]:
            slot = (slot + np.uint64(1)) & mask
        keys[slot] = hashes[i]
        rows[slot] = i
        bit = (hashes[i] >> np.uint64(32)) & np.uint64(64 * len(bloom) - 1)
        bloom[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))


@jit
def find_grams(words, word_offsets, lengths, table_keys, table_rows, bloom, sets, hits, seen):
    """Mark what documents share with a table: hits i32 [n_documents, n_sets] counts the words at which an n-gram of
    that set ends (each word once for a set), seen bool [n_grams] becomes true for the n-grams that occur.

    words u64, word_offsets i64 [n_documents + 1]: of `word_hashes`; lengths i64: the lengths of grams to look for,
    in words, each once; sets i64 [n_grams]: the set of each gram.
    """
    mask = np.uint64(len(table_keys) - 1)
    filter_mask = np.uint64(64 * len(bloom) - 1)
    longest = 0
    for length in lengths:
        longest = max(longest, length)
    ring = np.zeros(longest + 1, dtype=np.uint64)  # prefix hashes, before the last step, up to each of the latest words
    powers = np.ones(len(lengths), dtype=np.uint64)
    for k in range(len(lengths)):
        for _ in range(lengths[k]):
            powers[k] *= BASE
    # For each set, the index + 1 of the word that it was last counted at.
    last = np.zeros(hits.shape[1], dtype=np.int64)
    for document in range(len(word_offsets) - 1):
        begin, end = word_offsets[document], word_offsets[document + 1]
        here = 0  # index in the ring
        ring[0] = 0
        for at in range(begin, end):
            total = ring[here] * BASE + words[at]
            here = here + 1 if here < longest else 0
            ring[here] = total
            for k in range(len(lengths)):
                if at + 1 - begin < lengths[k]:
                    continue
                back = here - lengths[k]
                before = ring[back if back >= 0 else back + longest + 1]
                h = max(mix64(total - before * powers[k]), np.uint64(1))
                bit = (h >> np.uint64(32)) & filter_mask
                if not (bloom[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                    continue
                slot = h & mask
                while table_keys[slot] and table_keys[slot] != h:
                    slot = (slot + np.uint64(1)) & mask
                if table_keys[slot]:
                    row = table_rows[slot]
                    seen[row] = True
                    if last[sets[row]] != at + 1:
                        last[sets[row]] = at + 1
                        hits[document, sets[row]] += 1


def byte_classes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each byte its kind, u8 [256], its lower case, u8 [256], and the length in bytes of a character that
    begins with it and is no part of a word, i64 [256]."""
    kinds, length = np.zeros(256, dtype=np.uint8), np.ones(256, dtype=np.int64)
    lower = np.arange(256, dtype=np.uint8)
    for byte in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        kinds[byte] = WORD
        lower[byte] = ord(chr(byte).lower())
    kinds[0x80:0xE2] = WORD
    kinds[0xC2], length[0xC2] = SEPARATOR, 2
    kinds[0xE2:0xE4] = UNDECIDED
    kinds[0xE4:] = SOLO
    length[0xE2:0xF0], length[0xF0:] = 3, 4
    return kinds, lower, length


KIND, LOWER, LENGTH = byte_classes()
