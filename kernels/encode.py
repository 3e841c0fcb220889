"""Encodes documents as token ids, UTF-8 in and ids out, exactly like the tokenizer whose tables are given.

A text is cut where no piece can reach across: between two bytes that stand beside each other in no piece, or by the
byte-level pattern (pretokens.py). What lies between two cuts is a unit; the ids of a unit depend on nothing else, so a
small cache answers for the frequent ones and the rest is merged (bpe.py) or segmented (unigram.py).
"""

from typing import NamedTuple

import numpy as np

from kernels.bpe import SHORT, merge
from kernels.hashmap import mixed
from kernels.jit import jit
from kernels.pretokens import word_end
from kernels.unigram import viterbi

CACHED_BYTES = 15  # the longest unit in the cache: its bytes and length fit in two words of 64 bits
CACHED_IDS = 12
LONGEST = 1 << 20  # bytes of a unit: a longer run without a place to cut is cut there, to bound memory
COUNT, HALF = np.uint64(60), np.uint64(32)  # where a row's second word holds the number of ids; bits of an id
KEY, LOW = np.uint64((1 << 60) - 1), np.uint64((1 << 32) - 1)


class Vocabulary(NamedTuple):
    """The tables of a tokenizer, made by llm/tokenize/encoder.py."""

    joined: np.ndarray  # u8 [256 * 256]: 1 if the second byte may stand after the first inside a piece
    classes: np.ndarray  # u8 [0x110000]: classes of characters for pretokens.py; [0]: not byte-level
    single: np.ndarray  # i32 [256]: rank of a byte as a symbol, -1 unknown, -2 it begins a longer character
    character_keys: np.ndarray  # u64: characters of more than one byte ...
    character_values: np.ndarray  # i32: ... to their rank
    pair_keys: np.ndarray  # u64: pairs of ranks to the rank of their merge
    pair_values: np.ndarray  # i32
    ids: np.ndarray  # i32: the id of each rank
    bytes: np.ndarray  # i32 [256]: the ids of the byte pieces
    cells: np.ndarray  # i32 [n, 4]: the trie of pieces with scores (unigram.py); [0, 4]: merges, not scores


def new_cache(bits: int = 17) -> np.ndarray:
    """Make a cache of units' ids, u64 [slots, 2 + CACHED_IDS / 2]: a unit's key, then its ids, two in a word. A unit
    can be in one slot only, where the last one stays. Use it in one thread at a time."""
    return np.zeros((1 << bits, 2 + CACHED_IDS // 2), np.uint64)


def encode(
    vocabulary: Vocabulary, cache: np.ndarray, data: np.ndarray, offsets: np.ndarray, begin_id: int, end_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of documents end to end, i32, `begin_id` before and `end_id` after each (none that is negative),
    and their numbers, i64 [n].

    data u8: valid UTF-8; offsets i64 [n + 1]: document k is data[offsets[k]:offsets[k + 1]].
    """
    lengths = np.zeros(len(offsets) - 1, np.int64)
    # A token has at least one byte; `recall` writes four at a time.
    out = np.empty(int(offsets[-1] - offsets[0]) + 2 * len(lengths) + 4, np.int32)
    total = encode_documents(vocabulary, cache, data, offsets, begin_id, end_id, out, lengths)
    return out[:total], lengths


@jit
def encode_documents(vocabulary, cache, data, offsets, begin_id, end_id, out, lengths):
    """Encode into given arrays; return the number of ids."""
    at = 0
    for document in range(len(lengths)):
        before = at
        if begin_id >= 0:
            out[at] = begin_id
            at += 1
        at = encode_document(vocabulary, cache, data, offsets[document], offsets[document + 1], out, at)
        if end_id >= 0:
            out[at] = end_id
            at += 1
        lengths[document] = at - before
    return at


@jit
def encode_document(vocabulary, cache, data, begin, end, out, at):
    """Write the ids of data[begin:end] to out[at:]; return where they end."""
    joined, classes, single, character_keys, character_values, keys, values, ids, byte_ids, cells = vocabulary
    scratch = np.empty((3, SHORT + 1), np.int64)
    mask = np.uint64(len(cache) - 1)
    while begin < end:
        if len(classes):
            stop, low, high = word(classes, data, begin, end)
        else:
            stop, low, high = run(joined, data, begin, end)
        size = stop - begin
        high |= np.uint64(size) << np.uint64(56)
        row = mixed(low ^ (high * np.uint64(0x9E3779B97F4A7C15))) & mask
        if size <= CACHED_BYTES and cache[row, 0] == low and (cache[row, 1] & KEY) == high:
            at = recall(cache, row, out, at)
            begin = stop
            continue
        first = at
        space = scratch if size <= SHORT else np.empty((3, size + 1), np.int64)
        if len(cells):  # plain arrays: a tuple of them would cost a reference count for each at every call
            at = viterbi(cells, byte_ids, space, data, begin, stop, out, at)
        else:
            at = merge(
                single, character_keys, character_values, keys, values, ids, byte_ids, space, data, begin, stop, out, at
            )
        if size <= CACHED_BYTES and at - first <= CACHED_IDS:
            remember(cache, row, low, high, out, first, at)
        begin = stop
    return at


@jit
def recall(cache, row, out, at):
    """Write the ids of the unit in a row of the cache to out[at:]; return where they end. Four are written at once, so
    that the usual unit needs no branch."""
    out[at] = np.int32(cache[row, 2] & LOW)
    out[at + 1] = np.int32(cache[row, 2] >> HALF)
    out[at + 2] = np.int32(cache[row, 3] & LOW)
    out[at + 3] = np.int32(cache[row, 3] >> HALF)
    count = np.int64(cache[row, 1] >> COUNT)
    for k in range(4, count):
        out[at + k] = np.int32((cache[row, 2 + k // 2] >> (HALF * np.uint64(k & 1))) & LOW)
    return at + count


@jit
def remember(cache, row, low, high, out, first, at):
    """Write a unit's key and its ids out[first:at] to a row of the cache."""
    cache[row, 0] = low
    cache[row, 1] = high | (np.uint64(at - first) << COUNT)
    cache[row, 2:] = 0
    for k in range(at - first):
        cache[row, 2 + k // 2] |= np.uint64(out[first + k]) << (HALF * np.uint64(k & 1))


@jit
def run(joined, data, begin, end):
    """Find the unit at `begin` by pairs of bytes: return where it ends, and its first eight bytes and next seven as
    u64."""
    limit = min(end, begin + LONGEST)
    low, high = np.uint64(data[begin]), np.uint64(0)
    stop = begin + 1
    bound = min(end, begin + 8)
    while stop < bound and follows(joined, data, stop):
        low = (low << np.uint64(8)) | np.uint64(data[stop])
        stop += 1
    if stop == begin + 8:
        bound = min(end, begin + CACHED_BYTES)
        while stop < bound and follows(joined, data, stop):
            high = (high << np.uint64(8)) | np.uint64(data[stop])
            stop += 1
        if stop == begin + CACHED_BYTES:
            while stop < limit and follows(joined, data, stop):
                stop += 1
    return shortened(data, begin, stop, end), low, high


@jit
def follows(joined, data, i):
    return joined[(np.int64(data[i - 1]) << 8) | np.int64(data[i])]


@jit
def word(classes, data, begin, end):
    """Find the unit at `begin` by the byte-level pattern; return the same as `run`."""
    stop = shortened(data, begin, min(word_end(classes, data, begin, end), begin + LONGEST), end)
    low, high = np.uint64(0), np.uint64(0)
    for i in range(begin, min(begin + 8, stop)):
        low = (low << np.uint64(8)) | np.uint64(data[i])
    for i in range(begin + 8, min(begin + CACHED_BYTES, stop)):
        high = (high << np.uint64(8)) | np.uint64(data[i])
    return stop, low, high


@jit
def shortened(data, begin, stop, end):
    """Return `stop`, moved back to the beginning of a character if LONGEST ended the unit."""
    if stop < end and stop == begin + LONGEST:
        while (data[stop] & 0xC0) == 0x80:
            stop -= 1
    return stop


@jit
def holds(data, first, second, third):
    """Do the three bytes (u8) stand beside each other anywhere in data (u8)? Without branches, so that it
    vectorises."""
    found = False
    for i in range(len(data) - 2):
        found |= (data[i] == first) & (data[i + 1] == second) & (data[i + 2] == third)
    return found
