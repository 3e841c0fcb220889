"""Classifies code points for kernels that read UTF-8, by one table of flags made with Python's own str methods, so that
a kernel splits words and recognises letters exactly as `str.split()` and `str.isalpha()` do; and counts them."""

from functools import cache

import numpy as np

from kernels.jit import jit

SPACE, ALPHA, DECIMAL, MARK, BULLET, TERMINAL, SENTENCE = (1 << bit for bit in range(7))
MARKS = "#.…{["  # counted, or looked at closely
BULLETS = "-*•‣▪◦●·"
TERMINALS = ".!?\"'”’。！？…"  # full stops, exclamation and question marks, closing quotes
SENTENCE_ENDS = ".!?。！？"
LAST_LETTER = 0x40000  # planes 4 to 16 have neither letters nor digits nor spaces (Unicode 15)


@cache
def character_kinds() -> np.ndarray:
    """Return the flags of every code point, u8 [0x110000]: SPACE, ALPHA, DECIMAL by str.isspace, isalpha, isdecimal,
    the others by the sets above. The array is shared and must not be changed; making it takes 15 ms, once."""
    kinds = np.zeros(0x110000, dtype=np.uint8)
    characters = [chr(point) for point in range(LAST_LETTER)]
    for flag, test in ((SPACE, str.isspace), (ALPHA, str.isalpha), (DECIMAL, str.isdecimal)):
        kinds[:LAST_LETTER] |= np.fromiter(map(test, characters), dtype=bool, count=LAST_LETTER) * np.uint8(flag)
    for flag, members in ((MARK, MARKS), (BULLET, BULLETS), (TERMINAL, TERMINALS), (SENTENCE, SENTENCE_ENDS)):
        kinds[[ord(member) for member in members]] |= np.uint8(flag)
    return kinds


@jit
def decode(text: np.ndarray, i: int) -> tuple[np.int64, int]:
    """Return the code point that begins at byte i of valid UTF-8 (u8 [n]), and how many bytes it takes."""
    lead = np.int64(text[i])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | np.int64(text[i + 1]) & 0x3F, 2
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | (np.int64(text[i + 1]) & 0x3F) << 6 | np.int64(text[i + 2]) & 0x3F, 3
    return (
        (lead & 0x07) << 18
        | (np.int64(text[i + 1]) & 0x3F) << 12
        | (np.int64(text[i + 2]) & 0x3F) << 6
        | np.int64(text[i + 3]) & 0x3F
    ), 4


@jit
def characters(data: np.ndarray, begins: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Count the characters between begins[i] and positions[i] (bytes), i64 [n].

    Where neighbours have one beginning, only the bytes between their positions are read.
    data u8: UTF-8; begins, positions i64 [n].
    """
    result = np.empty(len(begins), dtype=np.int64)
    for k in range(len(begins)):
        place, n = begins[k], 0
        if k and begins[k - 1] == place:
            place, n = positions[k - 1], result[k - 1]
        step = 1 if place <= positions[k] else -1  # back, where a kind that begins earlier was tried after another
        for i in range(min(place, positions[k]), max(place, positions[k])):
            n += step * ((data[i] & 0xC0) != 0x80)
        result[k] = n
    return result
