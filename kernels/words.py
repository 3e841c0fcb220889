"""Splits UTF-8 text into words as 64-bit hashes, for the n-gram model and the linear classifiers.

Defined on bytes, so that another implementation can be equal:

1. Blanks and control characters (also U+00A0 and U+3000) separate.
2. A word is a run of 0-9 A-Z a-z and of characters from U+00C0 to U+1FFF; A-Z are lowered, every digit becomes 0.
3. Any other ASCII character is a word of its own, a run of the same one a single word ("----" is "-").
4. So is each character of U+0080 ... U+00BF and from U+2000: symbols, and CJK, which has no blanks.

Hash: h = 0; for each byte of the normalised word h = h * BASE + byte; then splitmix64's finalizer. All modulo 2^64.
"""

import numpy as np

from kernels.jit import jit
from kernels.splitmix import mix64

BASE = np.uint64(0x9E3779B97F4A7C15)
BLANK, WORD, MARK, CHARACTER = 0, 1, 2, 3


def byte_kinds() -> np.ndarray:
    kinds = np.zeros(256, np.uint8)
    kinds[0x21:0x7F] = MARK
    for byte in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        kinds[byte] = WORD
    kinds[0x80:] = WORD  # a continuation byte stays in the word that its lead byte began
    kinds[0xC2] = kinds[0xE2:] = CHARACTER
    return kinds


def folded_bytes() -> np.ndarray:
    folded = np.arange(256, dtype=np.uint64)
    folded[ord("A") : ord("Z") + 1] += 32
    folded[ord("0") : ord("9") + 1] = ord("0")
    return folded


KIND = byte_kinds()
FOLD = folded_bytes()


def words(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the words of documents: hashes u64 [n_words], where each document's begin in them, i64 [n_documents + 1],
    and the bytes [start, stop) of each word, i64 [n_words, 2].

    data u8 [n_bytes]: valid UTF-8, document after document; offsets i64 [n_documents + 1]: where each begins.
    """
    hashes = np.empty(len(data), np.uint64)  # pages that are never written take no memory
    spans = np.empty((len(data), 2), np.int64)
    borders = np.zeros(len(offsets), np.int64)
    n = find_words(data, offsets, hashes, spans, borders)
    return hashes[:n], borders, spans[:n]


@jit
def find_words(data, offsets, hashes, spans, borders):
    n = 0
    for document in range(len(offsets) - 1):
        i, end = offsets[document], offsets[document + 1]
        while i < end:
            byte = data[i]
            kind = KIND[byte]
            start = i
            h = FOLD[byte]
            i += 1
            if kind == BLANK:
                continue
            if kind == WORD:
                while i < end and KIND[data[i]] == WORD:
                    h = h * BASE + FOLD[data[i]]
                    i += 1
            elif kind == MARK:
                while i < end and data[i] == byte:
                    i += 1
            else:
                while i < end and (data[i] & 0xC0) == 0x80:
                    h = h * BASE + FOLD[data[i]]
                    i += 1
                if i - start == 2 and data[start] == 0xC2 and data[start + 1] == 0xA0:
                    continue
                if i - start == 3 and data[start] == 0xE3 and data[start + 1] == 0x80 and data[start + 2] == 0x80:
                    continue
            hashes[n] = mix64(h)
            spans[n, 0] = start
            spans[n, 1] = i
            n += 1
        borders[document + 1] = n
    return n
