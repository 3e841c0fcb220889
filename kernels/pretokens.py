"""Finds where the next word of a text ends by the byte-level tokenizer's pattern (llm/tokenize/byte_level.py), on
UTF-8.

The pattern as a regular expression, its alternatives in order; tests hold the two together:

    '(?:[sdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE]) | [^\\r\\n\\p{L}\\p{N}]?\\p{L}+ | \\p{N}
    | [ ]?[^\\s\\p{L}\\p{N}]+[\\r\\n]* | \\s*[\\r\\n]+ | \\s+(?!\\S) | \\s+
"""

import numpy as np

from kernels.jit import jit

OTHER, LETTER, NUMBER, BLANK = 0, 1, 2, 3  # classes of characters: neither, \p{L}, \p{N}, \s


@jit
def character(data, i):
    """Return the character that begins at byte i of valid UTF-8, and its number of bytes."""
    byte = np.int64(data[i])
    if byte < 0x80:
        return byte, 1
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (data[i + 1] & 0x3F), 2
    if byte < 0xF0:
        return ((byte & 0x0F) << 12) | ((data[i + 1] & 0x3F) << 6) | (data[i + 2] & 0x3F), 3
    high = ((byte & 0x07) << 18) | ((data[i + 1] & 0x3F) << 12)
    return high | ((data[i + 2] & 0x3F) << 6) | (data[i + 3] & 0x3F), 4


@jit
def run(classes, data, i, end, kind):
    """Return the end of the run of characters of class `kind` that begins at i; i if there is none."""
    while i < end:
        point, size = character(data, i)
        if classes[point] != kind:
            break
        i += size
    return i


@jit
def is_line_end(byte):
    return byte == 0x0A or byte == 0x0D


@jit
def contraction(data, i, end):
    """Return the end of 's, 'll and the like at an apostrophe at i; i if there is none."""
    if i + 1 >= end:
        return i
    first = data[i + 1] | 0x20
    if data[i + 1] < 0x80 and (first == 0x73 or first == 0x64 or first == 0x6D or first == 0x74):
        return i + 2
    if i + 2 >= end or data[i + 1] >= 0x80 or data[i + 2] >= 0x80:
        return i
    second = data[i + 2] | 0x20
    if (first == 0x6C and second == 0x6C) or ((first == 0x76 or first == 0x72) and second == 0x65):
        return i + 3
    return i


@jit
def word_end(classes, data, i, end):
    """Return where the word that begins at i ends. classes: u8 [0x110000]; data[:end]: valid UTF-8; i < end."""
    if data[i] == 0x27:
        stop = contraction(data, i, end)
        if stop > i:
            return stop
    point, size = character(data, i)
    kind = classes[point]
    if kind == LETTER:
        return run(classes, data, i + size, end, LETTER)
    if kind == NUMBER:
        return i + size
    if not is_line_end(data[i]):
        stop = run(classes, data, i + size, end, LETTER)
        if stop > i + size:
            return stop
    if kind == OTHER or point == 0x20:
        after = i + size if kind == OTHER else i + 1
        stop = run(classes, data, after, end, OTHER)
        if kind == OTHER or stop > after:
            while stop < end and is_line_end(data[stop]):
                stop += 1
            return stop
    return blank_end(classes, data, i, end)


@jit
def blank_end(classes, data, i, end):
    """Return the end of the run of blanks at i: after its last line end or, without one, before the last blank if a
    word follows."""
    stop = last = i
    after_line_end = -1
    while stop < end:
        point, size = character(data, stop)
        if classes[point] != BLANK:
            break
        last = stop
        stop += size
        if is_line_end(data[last]):
            after_line_end = stop
    if after_line_end >= 0:
        return after_line_end
    return stop if stop == end or last == i else last
