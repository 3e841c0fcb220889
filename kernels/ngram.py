"""Looks up n-grams in a back-off language model that is one hash table; llm/process/quality/kneser_ney.py trains it.

An n-gram's key is a 64-bit hash built from its last word to its first: key(w) = w; key(v rest) = mix64(key(rest) * STEP
+ v), words being their own 64-bit hashes. Keys stand for their n-grams unchecked, as in KenLM's probing model (Heafield
2011, KenLM: Faster and Smaller Language Model Queries, 3.1): among 10^7 of them a false hit has a chance of 10^-12.

log10 p(w | context) is the stored value of the longest suffix of context + w that is stored, plus the back-offs of all
contexts longer than that one's.
"""

import numpy as np

from kernels.jit import jit
from kernels.splitmix import mix64

STEP = np.uint64(0xD6E8FEB86659FD93)
EMPTY = np.uint64(0)
MAX_ORDER = 8


def extended(keys: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the keys u64 [n] of n-grams one word longer, of their keys and the hashes of the words before, u64 [n]
    each."""
    return extend_all(keys, left)


@jit
def extend(key, left):
    return mix64(key * STEP + left)


@jit
def extend_all(keys, left):
    result = np.empty_like(keys)
    for i in range(len(keys)):
        result[i] = extend(keys[i], left[i])
    return result


def table(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make a hash table with linear probing: slots u64 [2^k] and their values f32 [2^k, 2].

    keys: u64 [n], distinct, none 0; values f32 [n, 2]: log10 p and log10 of the back-off.
    """
    size = 1 << max(4, int(2 * len(keys)).bit_length())
    slots = np.full(size, EMPTY, np.uint64)
    slot_values = np.zeros((size, 2), np.float32)
    insert(keys, values, slots, slot_values)
    return slots, slot_values


@jit
def find(slots, key):
    """Return the slot that holds the key, or -1."""
    mask = np.uint64(len(slots) - 1)
    i = key & mask
    while slots[i] != key:
        if slots[i] == EMPTY:
            return -1
        i = (i + np.uint64(1)) & mask
    return np.int64(i)


@jit
def insert(keys, values, slots, slot_values):
    mask = np.uint64(len(slots) - 1)
    for k in range(len(keys)):
        i = keys[k] & mask
        while slots[i] != EMPTY:
            i = (i + np.uint64(1)) & mask
        slots[i] = keys[k]
        slot_values[i] = values[k]


def log_probabilities(
    words: np.ndarray, borders: np.ndarray, slots: np.ndarray, values: np.ndarray, order: int, special: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum over each document's words and its end of log10 p, f64 [n_documents], and its number of unknown
    words, i64 [n_documents].

    words u64 [n_words], borders i64 [n_documents + 1]: see kernels.words.words. special u64 [3]: the hashes that stand
    for an unknown word, a document's beginning (never predicted) and its end.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order {order} is not in 1 ... {MAX_ORDER}")
    sums = np.zeros(len(borders) - 1)
    unknown = np.zeros(len(borders) - 1, np.int64)
    score(words, borders, slots, values, order, special, sums, unknown)
    return sums, unknown


@jit
def score(words, borders, slots, values, order, special, sums, unknown):
    context = np.empty(order, np.uint64)  # the nearest word first
    backoff = np.zeros(order)  # [k]: of the context of k + 1 words
    longer = np.zeros(order)
    for document in range(len(sums)):
        context[0] = special[1]
        known = min(1, order - 1)
        start = find(slots, special[1])
        backoff[:] = 0.0
        if start >= 0:
            backoff[0] = values[start, 1]
        total = 0.0
        for i in range(borders[document], borders[document + 1] + 1):
            word = words[i] if i < borders[document + 1] else special[2]
            slot = find(slots, word)
            if slot < 0:
                word = special[0]
                slot = find(slots, word)
                unknown[document] += 1
            key = word
            matched = 1
            value = values[slot, 0]
            longer[0] = values[slot, 1]
            while matched <= known and matched < order:
                key = extend(key, context[matched - 1])
                slot = find(slots, key)
                if slot < 0:
                    break
                value = values[slot, 0]
                longer[matched] = values[slot, 1]
                matched += 1
            total += value
            for k in range(matched - 1, order - 1):
                total += backoff[k]
            for k in range(order):
                backoff[k] = longer[k] if k < matched else 0.0
            for k in range(order - 1, 0, -1):
                context[k] = context[k - 1]
            context[0] = word
            known = min(known + 1, order - 1)
        sums[document] = total
