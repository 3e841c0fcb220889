"""Finds the bytes of a text that a scanner stops at, an @ or a digit, 64 bytes at a time.

Text has one of them in a hundred bytes. So one loop without branches, which the compiler turns into vector
instructions, makes a bit of each byte, and whole words without a bit are passed over.
"""

import numpy as np

from kernels.jit import jit

AT, ZERO = 64, np.uint8(48)
# Which bit of a word is its lowest: a de Bruijn sequence times that bit has other six upper bits for each of them.
SEQUENCE = np.uint64(0x03F79D71B4CB0A89)
LOWEST = np.zeros(64, dtype=np.int64)
LOWEST[[((int(SEQUENCE) << bit) & (2**64 - 1)) >> 58 for bit in range(64)]] = range(64)


@jit
def mark(data: np.ndarray) -> np.ndarray:
    """Return u64 [n_bytes // 64 + 1]: bit j of word i is set where data[64 * i + j] u8 is an @ or a digit."""
    marks = np.zeros(len(data) // 64 + 1, dtype=np.uint64)
    for i in range(len(data) // 64):
        word = np.uint64(0)
        for j in range(64):
            byte = data[64 * i + j]
            word |= np.uint64((np.uint8(byte - ZERO) < 10) | (byte == AT)) << np.uint64(j)
        marks[i] = word
    for i in range(len(data) // 64 * 64, len(data)):
        byte = data[i]
        marks[i // 64] |= np.uint64((np.uint8(byte - ZERO) < 10) | (byte == AT)) << np.uint64(i % 64)
    return marks


@jit
def next_marked(marks: np.ndarray, i: int, end: int) -> int:
    """Return the first marked byte from i on, `end` if there is none before it."""
    word = i >> 6
    bits = marks[word] >> np.uint64(i & 63)
    if bits:
        return min(end, i + lowest(bits))
    last = end >> 6
    word += 1
    while word <= last and marks[word] == 0:
        word += 1
    return min(end, 64 * word + lowest(marks[word])) if word <= last else end


@jit
def lowest(bits):
    """Return the number of the lowest bit set in a word u64 that is not 0."""
    return LOWEST[((bits & (~bits + np.uint64(1))) * SEQUENCE) >> np.uint64(58)]
