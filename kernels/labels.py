"""Words and pairs of words that a line of a page begins with, as hashed tables."""

import numpy as np

from kernels.jit import jit
from kernels.markup import FNV, MASK, PRIME, is_letter, lower
from kernels.tags import find, fnv, table


def phrases(lists: dict[str, int], words: dict[str, int] | None = None) -> np.ndarray:
    """Make a kernels.tags.table of the phrases in each list, separated by commas, with its bits; and of `words`."""
    bits = {" ".join(one.split()): bit for phrases, bit in lists.items() for one in phrases.split(",")}
    return table({fnv(phrase.encode()): bit for phrase, bit in {**(words or {}), **bits}.items()})


@jit
def bits_of(text, start, end, most, known):
    """Return the bits that the table `known` has for all words and pairs of words among the first `most` words, and the
    number of words there are; apostrophes are left out."""
    found, words, k = 0, 0, start
    previous = 0
    while k < end:
        if not is_part(text[k]):
            k += 1
            continue
        word, pair = FNV, (previous ^ 32) * PRIME & MASK
        while k < end and (is_part(text[k]) or text[k] == 39):
            if text[k] == 39:
                k += 1
                continue
            byte = lower(text[k])
            word, pair = (word ^ byte) * PRIME & MASK, (pair ^ byte) * PRIME & MASK
            k += 1
        words += 1
        if words <= most:
            found |= find(known, word) | (find(known, pair) if words > 1 else 0)
        previous = word
    return found, words


@jit
def is_part(byte):
    """May the byte be one of a word: a letter of ASCII or of any other script?"""
    return is_letter(byte) or byte >= 128
