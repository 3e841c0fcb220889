"""Counts, exactly, what the heuristic signals of documents are quotients of, from one buffer of UTF-8.

Words, lines and paragraphs: kernels/segments.py; repetition: kernels/repeats.py; phrases, C4's lines:
kernels/phrases.py. No Python object is made per document. Memory: 40 bytes for each word of the longest document and
some per line, whatever the batch.
"""

import numpy as np

from kernels.characters import character_kinds
from kernels.jit import jit
from kernels.phrases import FOUND, search, stop_word, suspicious
from kernels.repeats import DUPLICATE_NGRAMS, TOP_NGRAMS, ngrams, number, repeated
from kernels.segments import COUNTED, LINES, PARAGRAPHS, WORDS, Segments, scan

REPEATED = (
    "unique_words", "stop_words", "duplicate_lines", "duplicate_line_chars", "duplicate_paragraphs",
    "duplicate_paragraph_chars",
)  # fmt: skip
(
    UNIQUE_WORDS, STOP_WORDS_SEEN, DUPLICATE_LINES, DUPLICATE_LINE_CHARS, DUPLICATE_PARAGRAPHS,
    DUPLICATE_PARAGRAPH_CHARS,
) = range(len(COUNTED), len(COUNTED) + len(REPEATED))  # fmt: skip
FOUND_FROM = len(COUNTED) + len(REPEATED)
TOP_FROM = FOUND_FROM + len(FOUND)
DUPLICATE_FROM = TOP_FROM + len(TOP_NGRAMS)
COUNTS = (
    *COUNTED, *REPEATED, *FOUND, *(f"top_{n}gram_chars" for n in TOP_NGRAMS),
    *(f"duplicate_{n}gram_chars" for n in DUPLICATE_NGRAMS),
)  # fmt: skip
LONGEST = (1 << 31) - 8  # most bytes of a document: positions are 32-bit


def signal_counts(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Return COUNTS by name, each i64 [n_documents].

    data u8 [n_bytes]: the documents' valid UTF-8 one after the other; offsets i64 [n_documents + 1]: where each
    begins. A document of 2 GiB or more: ValueError.
    """
    longest = int(np.diff(offsets).max(initial=0))
    if longest > LONGEST:
        raise ValueError(f"a document of {longest:,} bytes; at most {LONGEST:,} can be counted")
    table = np.empty((len(offsets) - 1, len(COUNTS)), dtype=np.int64)
    count_documents(data, offsets, character_kinds(), longest, table)
    return {name: table[:, k] for k, name in enumerate(COUNTS)}


@jit
def count_documents(
    data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray, longest: int, table: np.ndarray
) -> None:  # fmt: skip
    """Fill the table, i64 [n_documents, COUNTS]. Scratch is made for the longest document; memory that is never written
    is never allocated by the system, so a generous bound on the number of words costs nothing."""
    most = longest // 2 + 1
    words, lines, paragraphs = segments(most), segments(most), segments(most)
    line_sentences = np.empty(most, dtype=np.int32)
    first, following = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    count, position = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    buffer = np.empty(longest, dtype=np.uint8)
    slots = 4
    while slots < most + most // 2:
        slots *= 2
    hash_table = np.empty(slots, dtype=np.int32)
    for document in range(len(offsets) - 1):
        text = data[offsets[document] : offsets[document + 1]]
        row = table[document]
        scan(text, kinds, words, lines, paragraphs, line_sentences, row[: len(COUNTED)])
        n_words, n_lines, n_paragraphs = row[WORDS], row[LINES], row[PARAGRAPHS]

        number(text, lines, n_lines, hash_table, first)
        row[DUPLICATE_LINES], row[DUPLICATE_LINE_CHARS] = repeated(first, lines.chars, n_lines)
        number(text, paragraphs, n_paragraphs, hash_table, first)
        row[DUPLICATE_PARAGRAPHS], row[DUPLICATE_PARAGRAPH_CHARS] = repeated(first, paragraphs.chars, n_paragraphs)

        number(text, words, n_words, hash_table, first)
        unique = stops = 0
        suspect = False
        for k in range(n_words):
            if first[k] == k:
                unique += 1
                stops |= stop_word(text, words.start[k], words.end[k])
                suspect = suspect or suspicious(text, words.start[k], words.end[k])
        row[UNIQUE_WORDS] = unique
        row[STOP_WORDS_SEEN] = 0
        while stops:
            row[STOP_WORDS_SEEN] += stops & 1
            stops >>= 1
        search(text, kinds, lines, n_lines, line_sentences, suspect, buffer, row[FOUND_FROM:TOP_FROM])
        ngrams(
            n_words, words.chars, first, following, count, position, hash_table, row[TOP_FROM:DUPLICATE_FROM],
            row[DUPLICATE_FROM:],
        )  # fmt: skip


@jit
def segments(n: int) -> Segments:
    return Segments(
        np.empty(n, dtype=np.int32),
        np.empty(n, dtype=np.int32),
        np.empty(n, dtype=np.uint32),
        np.empty(n + 1, dtype=np.int32),
    )
