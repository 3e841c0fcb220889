"""Heuristic signals of documents, one number each, as the Gopher, C4 and FineWeb papers define them. Filters nothing.

Words are what `str.split()` gives, lines are split at "\\n" and stripped, lines without words do not count, a paragraph
is a run of lines that no such line interrupts. Lengths are in characters. A ratio of nothing is 0.
Gopher: Rae et al. 2021, table A1 and A.1.1; C4: Raffel et al. 2020, 2.2; FineWeb: Penedo et al. 2024, 3.6.
Repeated n-grams are counted as Gopher's text says: a character in several of them counts once.
All results are quotients of integers, so they have the same bits everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernels.minhash import mix64

SPAN = 1 << 18  # values hashed at once: small enough for the second-level cache
BASE = 0x9E3779B97F4A7C15
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher A.1.1
BULLETS = "-*•‣▪◦●·"
TERMINAL = ".!?\"'”’。！？…"  # C4: a line must end in a terminal punctuation mark; the last ones for other scripts
SHORT_LINE = 30  # characters, FineWeb
TOP_NGRAMS = (2, 3, 4)
DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)
CHUNK = 1 << 20  # characters annotated at once; a longer document is a chunk of its own

SIGNALS = (
    "n_chars", "n_words", "mean_word_length", "symbol_to_word_ratio", "alpha_word_ratio", "stop_word_count",
    "unique_word_ratio", "digit_char_ratio", "n_lines", "max_line_length", "bullet_line_ratio", "ellipsis_line_ratio",
    "terminal_line_ratio", "short_line_ratio", "newline_to_word_ratio", "sentence_count", "curly_bracket_count",
    "lorem_ipsum_count", "duplicate_line_ratio", "duplicate_line_char_ratio", "duplicate_paragraph_ratio",
    "duplicate_paragraph_char_ratio", *(f"top_{n}gram_char_ratio" for n in TOP_NGRAMS),
    *(f"duplicate_{n}gram_char_ratio" for n in DUPLICATE_NGRAMS),
)  # fmt: skip


def signals(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Every signal of SIGNALS by name: i64 or f64 [n_documents]."""
    parts = [chunk_signals(texts[begin:end]) for begin, end in chunks([len(text) for text in texts], CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in SIGNALS}


def chunks(lengths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Consecutive ranges of items whose lengths sum to at most `limit`, or of one longer item; at least one range."""
    ranges = []
    begin = size = 0
    for i, length in enumerate(lengths):
        if i > begin and size + length > limit:
            ranges.append((begin, i))
            begin, size = i, 0
        size += length
    return [*ranges, (begin, len(lengths))]


@dataclass(frozen=True)
class Segments:
    """Pieces of the chunk's text (words, lines or paragraphs) in text order: all arrays i64 [n] but `hash`, u64 [n]."""

    start: np.ndarray
    end: np.ndarray
    document: np.ndarray
    hash: np.ndarray

    @property
    def length(self) -> np.ndarray:
        return self.end - self.start


def chunk_signals(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """`signals` of documents that are held in memory as code points, u32 [n], one "\\n" after each document."""
    n = len(texts)
    points = np.frombuffer("".join(text + "\n" for text in texts).encode("utf-32-le"), dtype=np.uint32)
    n_chars = np.array([len(text) for text in texts], dtype=np.int64)
    borders = np.concatenate([[0], np.cumsum(n_chars + 1)]).astype(np.int64)
    flags = classes(points)

    space = (flags & SPACE) != 0
    after = np.ones(len(points) + 1, dtype=bool)  # the position before the first is as good as a space
    after[1:] = space
    word_start = np.flatnonzero(~space & after[:-1])
    word_end = np.flatnonzero(space & ~after[:-1])
    words = segments(points, word_start, word_end, borders)
    n_words = per_document(words.document, n)

    newline = np.flatnonzero(points == NEWLINE)
    line_of_word = np.searchsorted(newline, word_start)
    first_word = np.flatnonzero(np.diff(line_of_word, prepend=-1))
    last_word = np.append(first_word[1:], len(word_start)) - 1 if len(word_start) else first_word
    lines = segments(points, word_start[first_word], word_end[last_word], borders)
    n_lines = per_document(lines.document, n)

    number = line_of_word[first_word]
    first_line = np.flatnonzero((np.diff(number, prepend=-2) != 1) | (np.diff(lines.document, prepend=-1) != 0))
    last_line = np.append(first_line[1:], len(number)) - 1 if len(number) else first_line
    paragraphs = segments(points, lines.start[first_line], lines.end[last_line], borders)

    def total(mask: np.ndarray) -> np.ndarray:
        return np.diff(np.concatenate([[0], np.cumsum(mask)])[borders])

    alphas = np.concatenate([[0], np.cumsum((flags & ALPHA) != 0)])
    alpha_word = alphas[words.end] > alphas[words.start]
    closing = points[words.end - 1] if len(word_end) else points[:0]
    result: dict[str, np.ndarray] = {
        "n_chars": n_chars,
        "n_words": n_words,
        "mean_word_length": ratio(per_document(words.document, n, words.length), n_words),
        "symbol_to_word_ratio": ratio(total(points == HASH) + ellipses(points, total), n_words),
        "alpha_word_ratio": ratio(per_document(words.document, n, alpha_word), n_words),
        "stop_word_count": stop_words(points, words, n),
        "unique_word_ratio": ratio(unique(words, n), n_words),
        "digit_char_ratio": ratio(total((flags & DIGIT) != 0), n_chars),
        "n_lines": n_lines,
        "max_line_length": longest(lines, n),
        "bullet_line_ratio": ratio(per_document(lines.document, n, one_of(points[lines.start], BULLETS)), n_lines),
        "ellipsis_line_ratio": ratio(per_document(lines.document, n, ends_in_ellipsis(points, lines)), n_lines),
        "terminal_line_ratio": ratio(per_document(lines.document, n, one_of(points[lines.end - 1], TERMINAL)), n_lines),
        "short_line_ratio": ratio(per_document(lines.document, n, lines.length < SHORT_LINE), n_lines),
        "newline_to_word_ratio": ratio(total(points == NEWLINE) - 1, n_words),
        "sentence_count": per_document(words.document, n, one_of(closing, ".!?。！？")),
        "curly_bracket_count": total((points == ord("{")) | (points == ord("}"))),
        "lorem_ipsum_count": np.array([text.lower().count("lorem ipsum") for text in texts], dtype=np.int64),
    }
    for name, pieces in (("line", lines), ("paragraph", paragraphs)):
        again = repeated(pieces)
        result[f"duplicate_{name}_ratio"] = ratio(
            per_document(pieces.document, n, again), per_document(pieces.document, n)
        )
        result[f"duplicate_{name}_char_ratio"] = ratio(per_document(pieces.document, n, again * pieces.length), n_chars)
    return result | ngram_signals(words, n_words, n_chars)


def ngram_signals(words: Segments, n_words: np.ndarray, n_chars: np.ndarray) -> dict[str, np.ndarray]:
    """top_<n>gram_char_ratio: characters of the most frequent n-gram (the earliest of these), its words joined by one
    space, times its count. duplicate_<n>gram_char_ratio: characters in words of n-grams that occurred before.

    An n-gram can only repeat where its first n-1 words repeat, so each n looks at what the one before left.
    """
    n_documents = len(n_words)
    result = {}
    first_word = np.concatenate([[0], np.cumsum(n_words)])
    lengths = np.concatenate([[0], np.cumsum(words.length)])
    last = first_word[words.document + 1]
    position = np.arange(len(words.start))
    keys = mix64(words.hash + words.document.astype(np.uint64) * np.uint64(BASE))
    for n in range(2, max(DUPLICATE_NGRAMS) + 1):
        inside = position + n <= last[position]
        position = position[inside]
        keys = mix64(keys[inside] * np.uint64(BASE) + words.hash[position + n - 1])
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        run = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else order
        count = np.diff(np.append(run, len(keys)))
        several = count > 1
        first = position[order[run[several]]]  # a stable sort: each run begins with the earliest
        if n in TOP_NGRAMS:
            top, times = first_word[:-1].copy(), np.ones(n_documents, dtype=np.int64)
            best = np.lexsort((first, -count[several], words.document[first]))
            owner = words.document[first][best]
            best = best[np.diff(owner, prepend=-1) != 0]
            top[words.document[first[best]]] = first[best]
            times[words.document[first[best]]] = count[several][best]
            exists = n_words >= n
            top = np.where(exists, top, 0)
            chars = lengths[np.minimum(top + n, len(words.start))] - lengths[top] + n - 1
            result[f"top_{n}gram_char_ratio"] = ratio(np.where(exists, times * chars, 0), n_chars)
        repeats = np.repeat(several, count)
        later = repeats.copy()
        later[run] = False
        if n in DUPLICATE_NGRAMS:
            edges = np.zeros(len(words.start) + 1, dtype=np.int64)
            np.add.at(edges, position[order[later]], 1)
            np.add.at(edges, position[order[later]] + n, -1)
            covered = np.cumsum(edges)[:-1] > 0
            chars = per_document(words.document, n_documents, covered * words.length)
            result[f"duplicate_{n}gram_char_ratio"] = ratio(chars, n_chars)
        keep = np.sort(order[repeats])
        position, keys = position[keep], keys[keep]
    return result


def segments(points: np.ndarray, start: np.ndarray, end: np.ndarray, borders: np.ndarray) -> Segments:
    document = np.searchsorted(borders, start, side="right") - 1
    # + 1: the null character must not hash like nothing
    hashes = mix64(polynomial_hashes(points + np.uint32(1), start, end, BASE))
    return Segments(start, end, document, hashes)


def repeated(pieces: Segments) -> np.ndarray:
    """bool [n]: whether the same piece stood earlier in its document."""
    keys = mix64(pieces.hash + pieces.document.astype(np.uint64) * np.uint64(BASE))
    order = np.argsort(keys, kind="stable")
    result = np.zeros(len(keys), dtype=bool)
    result[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return result


def unique(words: Segments, n: int) -> np.ndarray:
    return per_document(words.document, n, ~repeated(words))


def longest(lines: Segments, n: int) -> np.ndarray:
    result = np.zeros(n, dtype=np.int64)
    np.maximum.at(result, lines.document, lines.length)
    return result


def stop_words(points: np.ndarray, words: Segments, n: int) -> np.ndarray:
    """How many of the STOP_WORDS occur at all (whole words, any case): i64 [n]."""
    result = np.zeros(n, dtype=np.int64)
    padded = np.concatenate([points, np.zeros(4, dtype=np.uint32)])
    for length in {len(word) for word in STOP_WORDS}:
        candidates = np.flatnonzero(words.length == length)
        letters = padded[words.start[candidates][:, None] + np.arange(length)] | np.uint32(
            32
        )  # A-Z to a-z, nothing else to letters
        for word in (word for word in STOP_WORDS if len(word) == length):
            hits = candidates[(letters == [ord(letter) for letter in word]).all(axis=1)]
            result += np.bincount(words.document[hits], minlength=n) > 0
    return result


def ellipses(points: np.ndarray, total) -> np.ndarray:  # noqa: ANN001 - the closure of chunk_signals
    """Occurrences of "..." (not overlapping) and "…": i64 [n]."""
    dot = np.concatenate([[False], points == DOT, [False]])
    start = np.flatnonzero(dot[1:] & ~dot[:-1])
    end = np.flatnonzero(~dot[1:] & dot[:-1])
    threes = np.zeros(len(points), dtype=np.int64)
    threes[start] = (end - start) // 3
    return total(threes) + total(points == ELLIPSIS)


def ends_in_ellipsis(points: np.ndarray, lines: Segments) -> np.ndarray:
    last = lines.end - 1
    dots = (points[last] == DOT) & (points[np.maximum(last - 1, 0)] == DOT) & (points[np.maximum(last - 2, 0)] == DOT)
    return (dots & (lines.length >= 3)) | (points[last] == ELLIPSIS)


def one_of(points: np.ndarray, characters: str) -> np.ndarray:
    return np.isin(points, np.array([ord(character) for character in characters], dtype=np.uint32))


def per_document(document: np.ndarray, n: int, values: np.ndarray | None = None) -> np.ndarray:
    """Sum of `values` (default: 1 each) per document: i64 [n]. Exact while a sum is below 2^53."""
    return np.bincount(document, weights=values, minlength=n).astype(np.int64)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), 0.0)


NEWLINE, HASH, DOT, ELLIPSIS = ord("\n"), ord("#"), ord("."), ord("…")
SPACE, ALPHA, DIGIT = 1, 2, 4


def classes(points: np.ndarray) -> np.ndarray:
    """u8 [n]: flags SPACE, ALPHA, DIGIT of code points, as Python's str methods see them (DIGIT: 0-9 only)."""
    result = ASCII[np.minimum(points, 127)]
    other = np.flatnonzero(points > 127)
    if len(other):
        kinds, index = np.unique(points[other], return_inverse=True)
        result[other] = np.array([class_of(chr(kind)) for kind in kinds], dtype=np.uint8)[index]
    return result


def class_of(character: str) -> int:
    return SPACE * character.isspace() + ALPHA * character.isalpha() + DIGIT * ("0" <= character <= "9")


ASCII = np.array([class_of(chr(point)) for point in range(128)], dtype=np.uint8)


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
