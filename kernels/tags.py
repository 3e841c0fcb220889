"""The HTML elements that kernels/html.py distinguishes: a number and a kind (bits) for every name, and hash tables by
which names and words are recognised in bytes. An unknown element counts as a block if its name has a hyphen."""

import numpy as np

from kernels.jit import jit

VOID, RAW, MUTE, BLOCK, CLOSES_P, SCOPE, HOLDS = (1 << bit for bit in range(7))
# RAW: text up to its own end tag. MUTE: its text is no part of the page. CLOSES_P: ends an open paragraph. SCOPE: end
# tags inside do not reach out of it. HOLDS: may be the element that holds all of a page's content.
KINDS = {
    VOID: "br wbr img input area base basefont bgsound col embed frame keygen link meta param source track",
    VOID | BLOCK | CLOSES_P: "hr",
    RAW | MUTE: "script style iframe noembed noframes textarea title",
    RAW | BLOCK | CLOSES_P: "xmp plaintext",
    MUTE: "noscript template svg select canvas audio video datalist object applet map button progress meter "
    "annotation annotation-xml",
    BLOCK | CLOSES_P | HOLDS: "div section article main center form details fieldset hgroup header footer nav aside "
    "search blockquote",
    BLOCK
    | CLOSES_P: "address dialog dir dl figcaption figure h1 h2 h3 h4 h5 h6 menu ol ul p pre listing summary li dd dt",
    BLOCK | CLOSES_P | SCOPE | HOLDS: "table",
    BLOCK | SCOPE | HOLDS: "td th",
    BLOCK | SCOPE: "caption",
    BLOCK | HOLDS: "tr tbody thead tfoot",
    BLOCK: "legend",
    0: "html head body frameset option optgroup a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd "
    "label mark math nobr output q rb rp rt ruby s samp small span strike strong sub sup time tt u var",
}
NAMES = ["", *(name for names in KINDS.values() for name in names.split())]
TAG = {name: number for number, name in enumerate(NAMES)}
KIND = np.array([0] + [kind for kind, names in KINDS.items() for _ in names.split()], dtype=np.int64)
CUSTOM = len(NAMES)  # the number of a custom element
KIND = np.append(KIND, BLOCK | HOLDS)


def fnv(word: bytes) -> int:
    """Return the 32-bit FNV-1a hash of a word, by which `table` keeps it and which the scanner computes byte by
    byte."""
    value = 0x811C9DC5
    for byte in word:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def table(values: dict[int, int]) -> np.ndarray:
    """Make an open-addressing table of hash -> positive value for `find`: i64 [2^k, 2], rows (hash, value), 0 if
    empty."""
    size = 1 << (4 * len(values)).bit_length()
    slots = np.zeros((size, 2), dtype=np.int64)
    for key, value in values.items():
        at = key & (size - 1)
        while slots[at, 1]:
            at = (at + 1) & (size - 1)
        slots[at] = key, value
    return slots


@jit
def find(slots: np.ndarray, key: int) -> int:
    """Return the value of a hash in a `table`, 0 if it is not there."""
    mask = len(slots) - 1
    at = key & mask
    while slots[at, 1] != 0:
        if slots[at, 0] == key:
            return slots[at, 1]
        at = (at + 1) & mask
    return 0


TAGS = table({fnv(name.encode()): number for name, number in TAG.items() if name})
