"""Ids that were made from a heading: id="related-work" over "2. Related work" tells a reader of cues nothing.

Generators of documentation give each section (or its heading, or an anchor in it) its heading as its id, and what is
described there its name (id="http.cookies.Morsel"). Letters alone are compared, because digits, hyphens and case are
what generators add and change.
"""

import numpy as np

from kernels.html_tree import CUES, CUES_OF_ID, END, FIRST, ID_FROM, ID_TO, KIND_OF, NODE, PARENT, START, is_within
from kernels.jit import jit
from kernels.markup import REPLIES, is_letter, lower
from kernels.tags import BLOCK, KIND, TAG

H1, H6, DT, CAPTION, SECTION = TAG["h1"], TAG["h6"], TAG["dt"], TAG["caption"], TAG["section"]
LEGEND, SUMMARY = TAG["legend"], TAG["summary"]
LONGEST = 256  # letters of a heading or an id that are compared
NEAR = 4  # blocks in which a heading may begin, and elements around a block that may be the heading


@jit
def add_cues_of_ids(
    nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray, data: np.ndarray, is_article: bool
) -> None:
    """Add to the cues of each element those of its id, but for one that says what the element's heading says. nodes,
    blocks and text are what kernels.html.scan makes of `data`.

    One word is less sure: <div id="comments"> over "3 comments" holds what readers wrote. It counts as made from the
    heading in a heading itself, in a <section>, and, on a page that does not call itself an article, in what is not
    called replies."""
    heading, name = np.empty(LONGEST, dtype=np.uint8), np.empty(LONGEST, dtype=np.uint8)
    for i in range(1, len(nodes)):
        cue = nodes[i, CUES_OF_ID]
        if not cue or is_dotted(data, nodes[i, ID_FROM], nodes[i, ID_TO]):
            continue
        b = heading_of(i, nodes, blocks, text)
        if b >= 0:
            words, second, length = letters(data, nodes[i, ID_FROM], nodes[i, ID_TO], name)
            _, _, size = letters(text, blocks[b, START], blocks[b, END], heading)
            same = equal(name, 0, length, heading, size)
            tag = nodes[i, KIND_OF]
            if words == 1:
                sure = tag == SECTION or not KIND[tag] & BLOCK or is_heading(tag) or not (is_article or cue & REPLIES)
                same = same and sure
            if words > 1 or tag == DT:
                same = same or equal(name, second, length, heading, size) or holds(heading, size, name, length)
            if same:
                continue
        nodes[i, CUES] |= cue


@jit
def is_heading(tag):
    return H1 <= tag <= H6 or tag in (DT, CAPTION, LEGEND, SUMMARY)


@jit
def is_dotted(data, start, end):
    """Is it a name of a program's part, with a dot between letters?"""
    dots = 0
    for k in range(start + 1, end - 1):
        dots += data[k] == 46 and is_letter(data[k - 1]) and is_letter(data[k + 1])
    return dots > 0


@jit
def heading_of(i, nodes, blocks, text):
    """The number of the block with which an element begins, if that is a heading and has letters; or -1."""
    for b in range(nodes[i, FIRST], min(nodes[i, FIRST] + NEAR, len(blocks))):
        node = blocks[b, NODE]
        if not is_within(nodes, node, i):
            return -1
        for k in range(blocks[b, START], blocks[b, END]):
            if is_letter(text[k]):
                for _ in range(NEAR):
                    if is_heading(nodes[node, KIND_OF]):
                        return b
                    node = nodes[node, PARENT]
                    if node <= 0:
                        break
                return -1
    return -1


@jit
def letters(data, start, end, into):
    """Copy the letters of data[start:end] in lower case, without those of character references: (number of words,
    where the second one begins, number of letters)."""
    words, second, size, before, k = 0, 0, 0, False, start
    while k < end and size < len(into):
        if data[k] == 38:  # &name;
            stop = k + 1
            while stop < end and stop < k + 10 and data[stop] != 59 and data[stop] > 32:
                stop += 1
            k = stop if stop < end and data[stop] == 59 else k
        letter = is_letter(data[k])
        if letter:
            words += not before
            if words == 2 and not before:
                second = size
            into[size] = lower(data[k])
            size += 1
        before = letter
        k += 1
    return words, second, size


@jit
def equal(one, begin, end, other, size):
    """Are one[begin:end] and other[:size] the same letters, and any?"""
    return end - begin == size and size > 0 and np.all(one[begin:end] == other[:size])


@jit
def holds(one, size, part, length):
    """Does part[:length] stand in one[:size]?"""
    for begin in range(size - length + 1):
        k = 0
        while k < length and one[begin + k] == part[k]:
            k += 1
        if k == length:
            return length > 0
    return False
