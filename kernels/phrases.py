"""Finds the words and phrases that Gopher and C4 look for, and the lines of a document that C4 keeps.

C4 (Raffel et al. 2020, 2.2, and its code) keeps a line if no word of it has more than 1,000 characters, it ends in
. ? ! or " but not in ..., it has 5 words or more, both after marks such as [1], [edit] and [citation needed] are taken
out, and it speaks neither of JavaScript nor of policies. Upper case counts as lower case, A to Z only.
Phrases are looked for only where a document has a word without which none can be there.
"""

import numpy as np

from kernels.characters import DECIMAL, SENTENCE, SPACE, decode
from kernels.jit import jit
from kernels.segments import FEW_WORDS, SQUARE, UNKNOWN, Segments, ends_in_dots, ends_sentence

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher, A.1.1
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
FOUND = ("javascript_lines", "policy_lines", "lorem_ipsums", "c4_lines", "c4_sentences")
JAVASCRIPT_LINES, POLICY_LINES, LOREM_IPSUMS, C4_LINES, C4_SENTENCES = range(len(FOUND))


def ascii_bytes(word: str) -> np.ndarray:
    return np.frombuffer(word.encode("ascii"), dtype=np.uint8)


PACKED_STOP_WORDS = np.array([int.from_bytes(word.encode("ascii"), "big") for word in STOP_WORDS], dtype=np.uint32)
POLICY_BYTES = tuple(ascii_bytes(phrase) for phrase in POLICIES)
JAVASCRIPT, LOREM_IPSUM = ascii_bytes("javascript"), ascii_bytes("lorem ipsum")
COOKIES, POLICY, IPSUM, TERMS = (ascii_bytes(word) for word in ("cookies", "policy", "ipsum", "terms"))
CITATIONS = (ascii_bytes("[edit]"), ascii_bytes("[citation needed]"))
CLOSING, C, P, T, U = (ord(character) for character in "]cptu")
JAVASCRIPT_BIT, POLICY_BIT = 1, 2


@jit
def stop_word(text: np.ndarray, begin: int, end: int) -> int:
    """Return the bit of the stop word that stands there; 0 if none does."""
    if end - begin > 4:
        return 0
    packed = np.uint32(0)
    for i in range(begin, end):
        packed = packed << np.uint32(8) | np.uint32(text[i] | 0x20)  # no other byte becomes a letter by that
    for k in range(len(PACKED_STOP_WORDS)):
        if packed == PACKED_STOP_WORDS[k]:
            return 1 << k
    return 0


@jit
def suspicious(text: np.ndarray, begin: int, end: int) -> bool:
    """Can a phrase contain this word? Each phrase has a word that begins with "cookies", "policy" or "ipsum", ends in
    "terms" or contains "javascript"."""
    return (
        stands(text, begin, end, COOKIES)
        or stands(text, begin, end, POLICY)
        or stands(text, begin, end, IPSUM)
        or stands(text, max(begin, end - len(TERMS)), end, TERMS)
        or mentions(text, begin, end) & JAVASCRIPT_BIT != 0
    )


@jit
def search(
    text: np.ndarray, kinds: np.ndarray, lines: Segments, n_lines: int, line_sentences: np.ndarray, suspect: bool,
    buffer: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """Fill `found`, i64 [FOUND]. suspect: whether a word is `suspicious`; line_sentences: of kernels.segments.scan;
    buffer: scratch, as long as the longest line."""
    found[:] = 0
    if suspect:
        found[LOREM_IPSUMS] = occurrences(text, LOREM_IPSUM)
    for k in range(n_lines):
        begin, end = lines.start[k], lines.end[k]
        sentences = int(line_sentences[k])
        if suspect:
            mentioned = mentions(text, begin, end)
            found[JAVASCRIPT_LINES] += mentioned & JAVASCRIPT_BIT != 0
            found[POLICY_LINES] += mentioned & POLICY_BIT != 0
            if sentences > 0 and mentioned:
                sentences = 0
        if sentences == UNKNOWN:
            sentences = c4_sentences(text[begin:end], kinds, buffer)
        found[C4_LINES] += sentences > 0
        found[C4_SENTENCES] += sentences


@jit
def c4_sentences(line: np.ndarray, kinds: np.ndarray, buffer: np.ndarray) -> int:
    """Return the number of sentences of a line without words of over 1,000 characters; 0 if C4 drops it. A sentence
    ends with a word that ends in . ! or ?, or with the line."""
    n = without_citations(line, kinds, buffer)
    if n == 0 or not ends_sentence(buffer[n - 1]) or ends_in_dots(buffer, 0, n):
        return 0
    words = sentences = i = 0
    before = np.int64(SPACE)
    while i < n:
        point, width = decode(buffer, i)
        kind = np.int64(kinds[point])
        words += before & SPACE != 0 and not kind & SPACE
        sentences += before & SENTENCE != 0 and kind & SPACE != 0
        before = kind
        i += width
    if words < FEW_WORDS or mentions(buffer, 0, n):
        return 0
    return sentences + 1


@jit
def without_citations(line: np.ndarray, kinds: np.ndarray, buffer: np.ndarray) -> int:
    """Copy a line without C4's citations ([digits], [edit], [citation needed]) to `buffer`; return the length."""
    i = n = 0
    while i < len(line):
        width = citation(line, i, kinds) if line[i] == SQUARE else 0
        if width == 0:
            buffer[n] = line[i]
            n += 1
            width = 1
        i += width
    return n


@jit
def citation(line: np.ndarray, begin: int, kinds: np.ndarray) -> int:
    """Return the bytes of the citation that begins there; 0 if none does."""
    i = begin + 1
    while i < len(line):
        point, width = decode(line, i)
        if point == CLOSING:
            return i + 1 - begin
        if not kinds[point] & DECIMAL:
            break
        i += width
    for mark in CITATIONS:
        if begin + len(mark) <= len(line) and (line[begin : begin + len(mark)] == mark).all():
            return len(mark)
    return 0


@jit
def mentions(text: np.ndarray, begin: int, end: int) -> int:
    """Return JAVASCRIPT_BIT and POLICY_BIT, each if one of its phrases stands anywhere in text[begin:end]."""
    result = 0
    for i in range(begin, end - len(JAVASCRIPT) + 1):  # no phrase is shorter
        letter = text[i] | 0x20
        if letter == JAVASCRIPT[0]:
            if stands(text, i, end, JAVASCRIPT):
                result |= JAVASCRIPT_BIT
        elif letter in (P, T, C, U):
            for phrase in POLICY_BYTES:
                if letter == phrase[0] and stands(text, i, end, phrase):
                    result |= POLICY_BIT
    return result


@jit
def occurrences(text: np.ndarray, phrase: np.ndarray) -> int:
    """Count a phrase in a text, without overlap."""
    i = n = 0
    while i <= len(text) - len(phrase):
        if stands(text, i, len(text), phrase):
            n += 1
            i += len(phrase)
        else:
            i += 1
    return n


@jit
def stands(text: np.ndarray, begin: int, end: int, phrase: np.ndarray) -> bool:
    """Does the phrase, of lower-case letters and spaces, stand at `begin`, in either case?"""
    if end - begin < len(phrase):
        return False
    for k in range(len(phrase)):
        byte = text[begin + k]
        if byte != phrase[k] and (byte | 0x20 != phrase[k] or byte < 0x41):
            return False
    return True
