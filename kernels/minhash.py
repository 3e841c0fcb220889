"""MinHash signatures of documents on the CPU, and the shingles that they hash; minhash.cu gives the same bits.

The result is defined in wrapping unsigned integers, so that any implementation can be equal:

1. Bytes of UTF-8, ASCII upper case lowered. Word bytes are 0-9 a-z _ and everything from 0x80; the rest separates.
   A token starts at a word byte that follows a separator (or starts the document), and at every lead byte from 0xE3
   (U+3000 and up: CJK has no spaces, so each character counts as a word). It ends at a separator or the next start.
2. Token hash: h = 0; for each byte h = h * BYTE_BASE + byte; then mix64. All modulo 2^64.
3. Shingle of w tokens: s = 0; for each token s = s * TOKEN_BASE + h; then mix64. A document of 1 to w-1 tokens has one
   shingle of all its tokens; a document without tokens has none.
4. signature[p] = min over shingles of (a[p] * x + b[p]) mod 2^32 with x = s >> 32, and 2^32 - 1 where there are none.

The share of equal components estimates the Jaccard similarity of two shingle sets with standard error
sqrt(J(1-J)/permutations) (Broder 1997).
"""

import numpy as np

from kernels.jit import jit
from kernels.splitmix import mix64

BYTE_BASE = np.uint64(0x9E3779B97F4A7C15)
TOKEN_BASE = np.uint64(0xD6E8FEB86659FD93)
NO_SHINGLE = np.uint32(0xFFFFFFFF)


def coefficients(permutations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors a (odd) and summands b, both u32 [permutations], drawn from `seed`."""
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.integers(0, 1 << 32, size=(2, permutations), dtype=np.uint32)
    return draws[0] | np.uint32(1), draws[1]


def byte_classes() -> np.ndarray:
    """Return for each byte, u16 [256]: its lower case, + WORD if it belongs to a token, + SOLO if it always starts
    one."""
    classes = np.arange(256, dtype=np.uint16)
    for byte in range(256):
        if chr(byte).isascii() and (chr(byte).isalnum() or byte == ord("_")):
            classes[byte] = WORD + ord(chr(byte).lower())
    classes[0x80:] += WORD
    classes[0xE3:] += SOLO
    return classes


WORD, SOLO = 0x100, 0x200
CLASSES = byte_classes()


@jit
def tokens(data, begin, end, starts, hashes):
    """Find the tokens of the document data[begin:end]: fill starts i64 (byte positions) and hashes u64; return how
    many.

    data u8 [n_bytes]; starts and hashes have room for (end - begin + 1) // 2 tokens.
    """
    n = 0
    i = begin
    while i < end:
        kind = CLASSES[data[i]]
        i += 1
        if kind < WORD:
            continue
        starts[n] = i - 1
        h = np.uint64(kind & np.uint16(0xFF))
        while i < end:
            kind = CLASSES[data[i]]
            if kind < WORD or kind >= SOLO:
                break
            h = h * BYTE_BASE + np.uint64(kind & np.uint16(0xFF))
            i += 1
        hashes[n] = mix64(h)
        n += 1
    return n


@jit
def join(hashes, n, words, out):
    """Make the shingles of a document's n token hashes u64: fill out u64, in text order with repetitions; return how
    many.
    """
    if n == 0:
        return 0
    width = min(n, words)
    s, top = np.uint64(0), np.uint64(1)
    for k in range(width):
        s = s * TOKEN_BASE + hashes[k]
        top = top * TOKEN_BASE
    out[0] = mix64(s)
    for i in range(n - width):  # the polynomial hash rolls on, modulo 2^64
        s = s * TOKEN_BASE + (hashes[i + width] - hashes[i] * top)
        out[i + 1] = mix64(s)
    return n - width + 1


@jit
def lower(x, n, a, b, least):
    """Set least[p] = min(least[p], a[p] * x + b[p] mod 2^32) over the first n of x u32; a, b, least u32 [permutations].

    Eight shingles at a time, so that factors and minima are loaded once for all of them; up to seven behind n are
    overwritten, and x must have room for them.
    """
    padded = (n + 7) // 8 * 8
    for i in range(n, padded):  # repeated values do not change a minimum
        x[i] = x[n - 1]
    for i in range(0, padded, 8):
        x0, x1, x2, x3, x4, x5, x6, x7 = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        for p in range(len(a)):
            f, s = a[p], b[p]
            low01 = min(np.uint32(f * x0 + s), np.uint32(f * x1 + s))
            low23 = min(np.uint32(f * x2 + s), np.uint32(f * x3 + s))
            low45 = min(np.uint32(f * x4 + s), np.uint32(f * x5 + s))
            low67 = min(np.uint32(f * x6 + s), np.uint32(f * x7 + s))
            least[p] = min(least[p], min(min(low01, low23), min(low45, low67)))


@jit
def signatures(data, offsets, a, b, words=5):
    """Return MinHash signatures, u32 [n_documents, permutations].

    data u8 [n_bytes]: the documents' UTF-8 one after the other; offsets i64 [n_documents + 1]: where each begins;
    a, b u32 [permutations]: see `coefficients`; words: tokens in a shingle.
    """
    starts, hashes, joined, x = scratch(offsets)
    result = np.full((len(offsets) - 1, len(a)), NO_SHINGLE, dtype=np.uint32)
    for document in range(len(offsets) - 1):
        n = tokens(data, offsets[document], offsets[document + 1], starts, hashes)
        n = join(hashes, n, words, joined)
        for i in range(n):
            x[i] = joined[i] >> np.uint64(32)
        lower(x, n, a, b, result[document])
    return result


@jit
def scratch(offsets):
    """Make room for the longest document's tokens: their starts i64, hashes u64, shingles u64 and x u32."""
    longest = 0
    for document in range(len(offsets) - 1):
        longest = max(longest, offsets[document + 1] - offsets[document])
    room = (longest + 1) // 2 + 7
    return (
        np.empty(room, dtype=np.int64),
        np.empty(room, dtype=np.uint64),
        np.empty(room, dtype=np.uint64),
        np.empty(room, dtype=np.uint32),
    )
