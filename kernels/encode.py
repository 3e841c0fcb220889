"""Documents to token ids: UTF-8 in, ids out. Exactly those of the tokenizer whose tables are given.

A text is cut where no piece can reach across: between two bytes that stand beside each other in no piece, or by the
byte-level pattern (words.py). What lies between two cuts is a unit; the ids of a unit depend on nothing else, so a
small cache answers for the frequent ones and the rest is merged (bpe.py) or segmented (unigram.py).
"""

from typing import NamedTuple

import numpy as np

from kernels.bpe import merge
from kernels.hashmap import mixed
from kernels.jit import jit
from kernels.pretokens import word_end
from kernels.unigram import viterbi

CACHED_BYTES = 15  # of the longest unit in the cache: with its length two words of 64 bits
CACHED_IDS = 4
LONGEST = 1 << 20  # bytes of a unit: a longer run without a place to cut is cut there, so that memory is bounded


class Vocabulary(NamedTuple):
    """The tables of a tokenizer, see llm/tokenizer/encoder.py, which makes them."""

    joined: np.ndarray  # u8 [256 * 256]: 1 if the second byte may stand after the first inside a piece
    classes: np.ndarray  # u8 [0x110000]: classes of characters for words.py; [0]: not byte-level
    single: np.ndarray  # i32 [256]: rank of a byte as a symbol, -1 unknown, -2 it begins a longer character
    character_keys: np.ndarray  # u64: characters of more than one byte ...
    character_values: np.ndarray  # i32: ... to their rank
    pair_keys: np.ndarray  # u64: pairs of ranks to the rank of their merge; with scores the trie of pieces
    pair_values: np.ndarray  # i32
    ids: np.ndarray  # i32: the id of each rank; with scores of each node of the trie, -1 none
    bytes: np.ndarray  # i32 [256]: the ids of the byte pieces
    scores: np.ndarray  # f64: by node, of the unknown character at 0; [0]: merges, not scores


class Cache(NamedTuple):
    """Ids of units seen: each unit has one slot, the last one there stays. For one thread at a time."""

    keys: np.ndarray  # u64 [slots, 2]
    counts: np.ndarray  # u8 [slots]
    ids: np.ndarray  # i32 [slots, CACHED_IDS]


def new_cache(bits: int = 16) -> Cache:
    slots = 1 << bits
    return Cache(np.zeros((slots, 2), np.uint64), np.zeros(slots, np.uint8), np.zeros((slots, CACHED_IDS), np.int32))


def encode(
    vocabulary: Vocabulary, cache: Cache, data: np.ndarray, offsets: np.ndarray, end_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of documents end to end, i32, `end_id` after each (none if it is negative), and their numbers, i64 [n].

    data u8: valid UTF-8; offsets i64 [n + 1]: document k is data[offsets[k]:offsets[k + 1]].
    """
    lengths = np.zeros(len(offsets) - 1, np.int64)
    out = np.empty(int(offsets[-1] - offsets[0]) + len(lengths), np.int32)  # a token has at least one byte
    total = encode_documents(vocabulary, cache, data, offsets, end_id, out, lengths)
    return out[:total], lengths


@jit
def encode_documents(vocabulary, cache, data, offsets, end_id, out, lengths):
    """`encode` into given arrays; returns the number of ids."""
    at = 0
    for document in range(len(lengths)):
        before = at
        at = encode_document(vocabulary, cache, data, offsets[document], offsets[document + 1], out, at)
        if end_id >= 0:
            out[at] = end_id
            at += 1
        lengths[document] = at - before
    return at


@jit
def encode_document(vocabulary, cache, data, begin, end, out, at):
    """The ids of data[begin:end] into out[at:]; returns where they end."""
    joined, classes = vocabulary.joined, vocabulary.classes  # a whole tuple costs time at every call
    keys, counts, ids = cache
    mask = np.uint64(len(counts) - 1)
    while begin < end:
        stop = unit_end(joined, classes, data, begin, end)
        size = stop - begin
        if size > CACHED_BYTES:
            at = encode_unit(vocabulary, data, begin, stop, out, at)
            begin = stop
            continue
        low = np.uint64(size)  # the length and the first seven bytes, then the other eight
        high = np.uint64(0)
        for i in range(begin, min(begin + 7, stop)):
            low = (low << np.uint64(8)) | np.uint64(data[i])
        for i in range(begin + 7, stop):
            high = (high << np.uint64(8)) | np.uint64(data[i])
        slot = mixed(low ^ (high * np.uint64(0x9E3779B97F4A7C15))) & mask
        if keys[slot, 0] == low and keys[slot, 1] == high:
            for k in range(counts[slot]):
                out[at + k] = ids[slot, k]
            at += counts[slot]
        else:
            first = at
            at = encode_unit(vocabulary, data, begin, stop, out, at)
            if at - first <= CACHED_IDS:
                keys[slot, 0] = low
                keys[slot, 1] = high
                counts[slot] = at - first
                for k in range(at - first):
                    ids[slot, k] = out[first + k]
        begin = stop
    return at


@jit
def encode_unit(vocabulary, data, begin, end, out, at):
    if len(vocabulary.scores):
        return viterbi(vocabulary, data, begin, end, out, at)
    return merge(vocabulary, data, begin, end, out, at)


@jit
def unit_end(joined, classes, data, begin, end):
    """Where the unit that begins at `begin` ends."""
    limit = min(end, begin + LONGEST)
    if len(classes):
        stop = word_end(classes, data, begin, end)
        if stop <= limit:
            return stop
        stop = limit
    else:
        stop = begin + 1
        while stop < limit and joined[(np.int64(data[stop - 1]) << 8) | np.int64(data[stop])]:
            stop += 1
    if stop < end and stop == begin + LONGEST:
        while (data[stop] & 0xC0) == 0x80:  # not inside a character
            stop -= 1
    return stop
