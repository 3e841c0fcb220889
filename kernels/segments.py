"""Finds the words, lines and paragraphs of one document in UTF-8, hashes each, and counts what can be counted on the
way, in a single pass over its bytes. Repetition is counted in kernels/repeats.py, phrases in kernels/phrases.py.

A word is what `str.split()` gives. A line ends at "\\n", is stripped, and does not count if it has no words. A
paragraph is a run of lines without an empty line between them, from its first word to its last, with all between them.
"""

from typing import NamedTuple

import numpy as np

from kernels.characters import ALPHA, BULLET, DECIMAL, MARK, SENTENCE, SPACE, TERMINAL, decode
from kernels.jit import jit

SHORT_LINE = 30  # characters (FineWeb)
FEW_WORDS, FEWER_WORDS = 5, 3  # of a line (C4's code; datatrove's C4)
LONG_WORD = 1000  # characters (C4's code)

COUNTED = (
    "chars", "words", "word_chars", "alpha_words", "hashes", "ellipses", "digits", "newlines", "curly_brackets",
    "sentences", "lines", "longest_line", "bullet_lines", "ellipsis_lines", "terminal_lines", "short_lines",
    "under_3_words_lines", "under_5_words_lines", "long_word_lines", "paragraphs",
)  # fmt: skip
(
    CHARS, WORDS, WORD_CHARS, ALPHA_WORDS, HASHES, ELLIPSES, DIGITS, NEWLINES, CURLY_BRACKETS,
    SENTENCES, LINES, LONGEST_LINE, BULLET_LINES, ELLIPSIS_LINES, TERMINAL_LINES, SHORT_LINES,
    UNDER_3_WORDS_LINES, UNDER_5_WORDS_LINES, LONG_WORD_LINES, PARAGRAPHS,
) = range(len(COUNTED))  # fmt: skip

NEWLINE, DOT, HASH, CURLY, SQUARE = ord("\n"), ord("."), ord("#"), ord("{"), ord("[")
ELLIPSIS, QUOTE, EXCLAMATION, QUESTION = ord("…"), ord('"'), ord("!"), ord("?")
BASE = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(0xD6E8FEB86659FD93)
UNKNOWN = -1  # number of sentences in a line that kernels/phrases.py has to examine


class Segments(NamedTuple):
    """Pieces of a text in order; arrays may be longer than needed."""

    start: np.ndarray  # i32, byte
    end: np.ndarray  # i32, byte
    hash: np.ndarray  # u32; equal pieces have equal hashes
    chars: np.ndarray  # i32; of words: characters in all words before this one, one entry more


@jit
def scan(
    text: np.ndarray, kinds: np.ndarray, words: Segments, lines: Segments, paragraphs: Segments,
    line_sentences: np.ndarray, row: np.ndarray,
) -> None:  # fmt: skip
    """Fill words, lines, paragraphs, line_sentences and the counts `row`, i64 [len(COUNTED)], of one document.

    text u8 [n_bytes], valid UTF-8, below 2 GiB; kinds: of kernels.characters. line_sentences, i32: sentences in a line
    that C4 keeps if it holds none of C4's phrases, 0 if it drops it, UNKNOWN if it holds a "[".
    """
    row[:] = 0
    n_words = n_lines = n_paragraphs = chars = 0
    alpha_words = digits = hashes = ellipses = dots = all_sentences = 0
    last_dot = -2
    inside = long_word = square = False
    after_blank = True
    line_first_word = sentences = 0
    first_kind = kind_before = letters = np.int64(0)
    word_chars = line_chars = paragraph_chars = end_chars = 0
    word_hash = line_hash = paragraph_hash = line_hash_at_end = paragraph_hash_at_end = np.uint64(0)
    words.chars[0] = 0
    i, n = 0, len(text)
    while i <= n:
        point, width = np.int64(NEWLINE), 1
        if i < n:
            point = np.int64(text[i])
            if point >= 0x80:
                point, width = decode(text, i)
        kind = np.int64(kinds[point])
        if kind & SPACE:
            if inside:
                inside = False
                words.end[n_words] = i
                words.hash[n_words] = mixed(word_hash)
                length = chars - word_chars
                words.chars[n_words + 1] = words.chars[n_words] + length
                n_words += 1
                alpha_words += letters != 0
                long_word |= length > LONG_WORD
                if kind_before & SENTENCE:
                    sentences += 1
                    all_sentences += 1
                end_chars = chars
                line_hash_at_end, paragraph_hash_at_end = line_hash, paragraph_hash
            if point == NEWLINE:
                row[NEWLINES] += 1
                if n_words == line_first_word:
                    after_blank = True
                else:
                    begin, end = words.start[line_first_word], words.end[n_words - 1]
                    length = end_chars - line_chars
                    lines.start[n_lines], lines.end[n_lines] = begin, end
                    lines.hash[n_lines] = mixed(line_hash_at_end)
                    lines.chars[n_lines] = length
                    paragraphs.end[n_paragraphs - 1] = end
                    paragraphs.hash[n_paragraphs - 1] = mixed(paragraph_hash_at_end)
                    paragraphs.chars[n_paragraphs - 1] = end_chars - paragraph_chars
                    row[LONGEST_LINE] = max(row[LONGEST_LINE], length)
                    row[BULLET_LINES] += (first_kind & BULLET) != 0
                    row[TERMINAL_LINES] += (kind_before & TERMINAL) != 0
                    row[SHORT_LINES] += length < SHORT_LINE
                    row[UNDER_3_WORDS_LINES] += n_words - line_first_word < FEWER_WORDS
                    row[UNDER_5_WORDS_LINES] += n_words - line_first_word < FEW_WORDS
                    row[LONG_WORD_LINES] += long_word
                    dotted = ends_in_dots(text, begin, end)
                    row[ELLIPSIS_LINES] += dotted or ends_in_ellipsis(text, begin, end)
                    keep = ends_sentence(text[end - 1]) and not dotted
                    keep = keep and n_words - line_first_word >= FEW_WORDS and not long_word
                    # Such a line's end ends a sentence, even if a quotation mark stands last.
                    sentences += keep and not kind_before & SENTENCE
                    line_sentences[n_lines] = UNKNOWN if square and not long_word else sentences if keep else 0
                    n_lines += 1
                    line_first_word = n_words
                    sentences = 0
                    long_word = square = False
        else:
            if not inside:
                inside = True
                words.start[n_words] = i
                word_hash = np.uint64(0)
                word_chars = chars
                letters = np.int64(0)
                if n_words == line_first_word:
                    line_hash = np.uint64(0)
                    line_chars = chars
                    first_kind = kind
                    if after_blank:
                        after_blank = False
                        paragraphs.start[n_paragraphs] = i
                        paragraph_hash = np.uint64(0)
                        paragraph_chars = chars
                        n_paragraphs += 1
            letters |= kind & ALPHA
            kind_before = kind
            if kind & (DECIMAL | MARK):
                if point == DOT:
                    dots = dots + 1 if last_dot == i - 1 else 1
                    last_dot = i
                    ellipses += dots % 3 == 0
                elif point < 0x80 and kind & DECIMAL:
                    digits += 1
                elif point == HASH:
                    hashes += 1
                elif point == SQUARE:
                    square = True
                elif point == CURLY:
                    row[CURLY_BRACKETS] += 1
                elif point == ELLIPSIS:
                    ellipses += 1
        value = np.uint64(point)
        word_hash = word_hash * BASE + value
        line_hash = line_hash * BASE + value
        paragraph_hash = paragraph_hash * BASE + value
        chars += 1
        i += width
    row[CHARS] = chars - 1  # without the line end that was added
    row[NEWLINES] -= 1
    row[WORDS] = n_words
    row[WORD_CHARS] = words.chars[n_words]
    row[ALPHA_WORDS] = alpha_words
    row[HASHES] = hashes
    row[ELLIPSES] = ellipses
    row[DIGITS] = digits
    row[SENTENCES] = all_sentences
    row[LINES] = n_lines
    row[PARAGRAPHS] = n_paragraphs


@jit
def mixed(value: np.uint64) -> np.uint32:
    return np.uint32(((value ^ (value >> np.uint64(32))) * MIX) >> np.uint64(32))


@jit
def ends_in_dots(text: np.ndarray, begin: int, end: int) -> bool:
    return end - begin >= 3 and text[end - 1] == DOT and text[end - 2] == DOT and text[end - 3] == DOT


@jit
def ends_in_ellipsis(text: np.ndarray, begin: int, end: int) -> bool:
    return end - begin >= 3 and text[end - 3] == 0xE2 and text[end - 2] == 0x80 and text[end - 1] == 0xA6


@jit
def ends_sentence(byte: int) -> bool:
    """Is it one of C4's end marks?"""
    return byte in (DOT, QUESTION, EXCLAMATION, QUOTE)
