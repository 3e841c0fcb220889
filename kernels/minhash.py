"""MinHash signatures of documents on the CPU: vectorised numpy, the twin of a CUDA kernel still to come.

The result is defined to the bit, in wrapping unsigned integers, so that another implementation can be equal:

1. Bytes of UTF-8, ASCII upper case lowered. Word bytes are 0-9 a-z _ and everything from 0x80; the rest separates.
   A token starts at a word byte that follows a separator (or starts the document), and at every lead byte from 0xE3
   (U+3000 and up: CJK has no spaces, so each character counts as a word). It ends at a separator or the next start.
2. Token hash: h = 0; for each byte h = h * BYTE_BASE + byte; then mix64. All modulo 2^64.
3. Shingle of w tokens: s = 0; for each token s = s * TOKEN_BASE + h; then mix64. A document of 1 to w-1 tokens has one
   shingle of all its tokens; a document without tokens has none.
4. signature[p] = min over shingles of (a[p] * x + b[p]) mod 2^32 with x = s >> 32, and 2^32 - 1 where there are none.

The share of equal components estimates the Jaccard similarity of two shingle sets with standard error
sqrt(J(1-J)/permutations) (Broder 1997). Files, texts and clusters are no concern of this module.
"""

import numpy as np

BYTE_BASE = 0x9E3779B97F4A7C15
TOKEN_BASE = 0xD6E8FEB86659FD93
NO_SHINGLE = 0xFFFFFFFF
SPAN = 1 << 18  # values hashed at once: small enough for the second-level cache
BLOCK = 1 << 16  # shingles permuted at once


def coefficients(permutations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The factors a (odd) and summands b, both u32 [permutations], that `seed` stands for."""
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.integers(0, 1 << 32, size=(2, permutations), dtype=np.uint32)
    return draws[0] | np.uint32(1), draws[1]


def signatures(data: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, words: int = 5) -> np.ndarray:
    """MinHash signatures, u32 [n_documents, permutations].

    data u8 [n_bytes]: the documents' UTF-8 one after the other; offsets i64 [n_documents + 1]: where each begins;
    a, b u32 [permutations]: see `coefficients`; words: tokens in a shingle.
    """
    hashes, shingle_offsets = shingles(data, offsets, words)
    return minima((hashes >> np.uint64(32)).astype(np.uint32), shingle_offsets, a, b)


def shingles(data: np.ndarray, offsets: np.ndarray, words: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Hashes u64 [n_shingles] of the documents' shingles, in text order, repetitions included, and where each
    document's begin, i64 [n_documents + 1]."""
    starts, ends = tokens(data, offsets)
    token_hashes = mix64(polynomial_hashes(LOWER[data], starts, ends, BYTE_BASE))
    token_offsets = np.searchsorted(starts, offsets)
    n_tokens = np.diff(token_offsets)
    n_shingles = np.where(n_tokens >= words, n_tokens - words + 1, np.minimum(n_tokens, 1))
    shingle_offsets = np.concatenate([[0], np.cumsum(n_shingles)]).astype(np.int64)
    first = np.arange(shingle_offsets[-1]) - np.repeat(shingle_offsets[:-1] - token_offsets[:-1], n_shingles)
    length = np.repeat(np.minimum(n_tokens, words), n_shingles)
    result = np.zeros(len(first), dtype=np.uint64)
    for k in range(words):
        inside = np.flatnonzero(length > k) if (length <= k).any() else slice(None)
        result[inside] = result[inside] * np.uint64(TOKEN_BASE) + token_hashes[first[inside] + k]
    return mix64(result), shingle_offsets


def minima(values: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """min over each document's values of (a * value + b) mod 2^32: u32 [n_documents, permutations].

    values u32 [n_values]; offsets i64 [n_documents + 1].
    """
    result = np.full((len(offsets) - 1, len(a)), NO_SHINGLE, dtype=np.uint32)
    filled = np.flatnonzero(np.diff(offsets))  # reduceat cannot express an empty segment
    starts = offsets[filled]
    ends = offsets[filled + 1]
    begin = 0
    while begin < len(filled):
        end = max(begin + 1, int(np.searchsorted(ends, starts[begin] + BLOCK, side="right")))
        block = values[starts[begin] : ends[end - 1]]
        segments = starts[begin:end] - starts[begin]
        hashed = np.empty_like(block)
        least = np.empty((len(a), end - begin), dtype=np.uint32)
        for p in range(len(a)):
            np.multiply(block, a[p], out=hashed)
            np.add(hashed, b[p], out=hashed)
            np.minimum.reduceat(hashed, segments, out=least[p])
        result[filled[begin:end]] = least.T
        begin = end
    return result


def tokens(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Byte positions i64 where tokens start and end; none crosses a document's border."""
    kind = KIND[data]
    is_word = kind != SEPARATOR
    follows_word = np.empty(len(data) + 1, dtype=bool)
    follows_word[0] = False
    follows_word[1:] = is_word
    follows_word[offsets] = False
    # a continuation byte follows its lead byte in any valid UTF-8, so it never starts a token
    starts = np.flatnonzero((is_word & ~follows_word[:-1]) | (kind == SOLO))
    if not len(starts):
        return starts, starts.copy()
    # a token ends at the first byte that is a separator, a later token's start or the next document's
    stop = np.ones(len(data) + 1, dtype=bool)
    stop[:-1] = ~is_word
    stop[starts] = True
    stop[offsets] = True
    stops = np.flatnonzero(stop)
    return starts, stops[np.searchsorted(stops, starts, side="right")]


def polynomial_hashes(values: np.ndarray, starts: np.ndarray, ends: np.ndarray, base: int) -> np.ndarray:
    """h = 0; for value in values[start:end]: h = h * base + value, modulo 2^64; u64 [n_segments].

    values: integers [n]; starts, ends i64 [n_segments], both ascending; base odd. A running sum of value_j * base^-j
    holds all segments at once (base is invertible modulo 2^64), so no loop runs over segments or their lengths.
    """
    result = np.empty(len(starts), dtype=np.uint64)
    powers = inverses = np.ones(1, dtype=np.uint64)
    begin = 0
    while begin < len(starts):
        origin = starts[begin]
        end = max(begin + 1, int(np.searchsorted(ends, origin + SPAN, side="right")))
        size = int(ends[end - 1] - origin)
        if size >= len(powers):
            powers = geometric(base, max(size, SPAN) + 1)
            inverses = geometric(pow(base, -1, 1 << 64), max(size, SPAN) + 1)
        sums = np.zeros(size + 1, dtype=np.uint64)
        np.cumsum(values[origin : origin + size].astype(np.uint64) * inverses[:size], out=sums[1:])
        first, last = starts[begin:end] - origin, ends[begin:end] - origin
        result[begin:end] = (sums[last] - sums[first]) * powers[np.maximum(last, 1) - 1]
        begin = end
    return result


def geometric(base: int, n: int) -> np.ndarray:
    """base^0 ... base^(n-1) modulo 2^64: u64 [n]."""
    factors = np.full(n, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


def mix64(x: np.ndarray) -> np.ndarray:
    """splitmix64's finalizer (Stafford's variant 13), elementwise on u64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


SEPARATOR, WORD, SOLO = 0, 1, 2


def byte_kinds() -> np.ndarray:
    kinds = np.zeros(256, dtype=np.uint8)
    for byte in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_":
        kinds[byte] = WORD
    kinds[0x80:0xE3] = WORD
    kinds[0xE3:] = SOLO
    return kinds


KIND = byte_kinds()
LOWER = np.array([byte + 32 if ord("A") <= byte <= ord("Z") else byte for byte in range(256)], dtype=np.uint8)
