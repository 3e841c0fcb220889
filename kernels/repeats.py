"""Counts the pieces of a document that stood in it before, exactly: hashes only select the bytes that are compared.

An n-gram's number is the position where it occurs first; two n-grams are equal if the numbers of their first n-1 and of
their last n-1 words are. So an n-gram can only repeat where both of these repeat: each n looks only at the few
positions that the previous n left.
"""

import numpy as np

from kernels.jit import jit
from kernels.segments import Segments

TOP_NGRAMS = (2, 3, 4)
DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)
SPREAD = np.uint64(0x9E3779B97F4A7C15)


@jit
def clear(table: np.ndarray, n: int) -> int:
    """Empty as much of the table, i32, as n entries fill to two thirds at most; return that size, a power of 2."""
    size = 4
    while size < n + n // 2:
        size *= 2
    table[:size] = 0
    return size


@jit
def number(text: np.ndarray, pieces: Segments, n: int, table: np.ndarray, first: np.ndarray) -> None:
    """Set first[i] to the smallest j whose piece has the bytes of piece i: i32 [n]."""
    mask = clear(table, n) - 1
    for i in range(n):
        slot = pieces.hash[i] & mask
        while True:
            j = table[slot] - 1
            if j < 0:
                table[slot] = i + 1
                first[i] = i
                break
            if pieces.hash[j] == pieces.hash[i] and same(text, pieces, i, j):
                first[i] = j
                break
            slot = (slot + 1) & mask


@jit
def same(text: np.ndarray, pieces: Segments, i: int, j: int) -> bool:
    a, b = pieces.start[i], pieces.start[j]
    length = pieces.end[i] - a
    if pieces.end[j] - b != length:
        return False
    for k in range(length):  # noqa: SIM110 - a loop for the compiler
        if text[a + k] != text[b + k]:
            return False
    return True


@jit
def repeated(first: np.ndarray, chars: np.ndarray, n: int) -> tuple[int, int]:
    """Count how many of n pieces stood before, and the characters in them."""
    pieces = total = 0
    for i in range(n):
        if first[i] != i:
            pieces += 1
            total += chars[i]
    return pieces, total


@jit
def ngrams(
    n_words: int, chars: np.ndarray, numbers: np.ndarray, following: np.ndarray, count: np.ndarray,
    position: np.ndarray, table: np.ndarray, top: np.ndarray, duplicate: np.ndarray,
) -> None:  # fmt: skip
    """Count the characters in repeated n-grams of one document.

    chars i32 [n_words + 1]: characters in the words before each; numbers i32 [n_words]: of the words, by `number`; is
    changed; following, count, position i32 [n_words], table i32: scratch.
    top i64 [TOP_NGRAMS], to fill: length of the most frequent n-gram (the earliest of these), its words joined by one
    space, times its count. duplicate i64 [DUPLICATE_NGRAMS], to fill: characters in words of n-grams that occurred
    before, each word once.
    """
    top[:] = 0
    duplicate[:] = 0
    count[:n_words] = 0
    for p in range(n_words):
        count[numbers[p]] += 1
        following[p] = numbers[p]
        position[p] = p
    left = only_repeated(position, n_words, following, count, numbers)
    for n in range(2, DUPLICATE_NGRAMS[-1] + 1):
        if n <= TOP_NGRAMS[-1] and n <= n_words:
            top[n - TOP_NGRAMS[0]] = chars[n] + n - 1  # if none repeats, all are as frequent as the first
        if left == 0:
            continue
        number_pairs(position, left, n_words, numbers, following, count, table)
        if n <= TOP_NGRAMS[-1]:
            best = 1
            for k in range(left):
                p = position[k]
                if following[p] == p and count[p] > best:
                    best = count[p]
                    top[n - TOP_NGRAMS[0]] = best * (chars[p + n] - chars[p] + n - 1)
        else:
            covered = total = 0
            for k in range(left):
                p = position[k]
                if following[p] >= 0 and following[p] != p:
                    total += chars[p + n] - chars[max(p, covered)]
                    covered = p + n
            duplicate[n - DUPLICATE_NGRAMS[0]] = total
        left = only_repeated(position, left, following, count, numbers)


@jit
def number_pairs(
    position: np.ndarray, n: int, n_words: int, numbers: np.ndarray, following: np.ndarray, count: np.ndarray,
    table: np.ndarray,
) -> None:  # fmt: skip
    """Set following[p], for the n positions p given, to the first position whose number and next number are those of p
    (count: how often they occur); -1 where the next position's number is -1, so that nothing longer repeats there."""
    size = clear(table, n)
    mask = size - 1
    shift = 64
    while size > 1:
        size //= 2
        shift -= 1
    for k in range(n):
        p = position[k]
        if p + 1 == n_words or numbers[p + 1] < 0:
            following[p] = -1
            continue
        a, b = numbers[p], numbers[p + 1]
        slot = np.int64((((np.uint64(a) << np.uint64(32)) | np.uint64(b)) * SPREAD) >> np.uint64(shift))
        while True:
            q = table[slot] - 1
            if q < 0:
                table[slot] = p + 1
                following[p] = p
                count[p] = 1
                break
            if numbers[q] == a and numbers[q + 1] == b:
                following[p] = q
                count[q] += 1
                break
            slot = (slot + 1) & mask


@jit
def only_repeated(
    position: np.ndarray, n: int, following: np.ndarray, count: np.ndarray, numbers: np.ndarray
) -> int:  # fmt: skip
    """Keep the positions whose number occurs more than once, with that number; set the others' to -1. Return how many
    are left."""
    left = 0
    for k in range(n):
        p = position[k]
        if following[p] >= 0 and count[following[p]] > 1:
            numbers[p] = following[p]
            position[left] = p
            left += 1
        else:
            numbers[p] = -1
    return left
