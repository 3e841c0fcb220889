"""Parses HTML into blocks of text in one pass over the bytes: elements that matter as nodes, runs of text as blocks.

`scan` follows the HTML standard's tokenizer (void and raw-text elements, comments) and what of its tree construction
keeps real pages in shape (kernels/html_tree.py). Nothing recurses; time is linear in the bytes. Any bytes are markup:
there are no errors. Character references stay as they are written, except blank and invisible ones. Which blocks are a
page's content is the question of kernels/content.py, attributes and characters are kernels/markup.py's.
"""

import numpy as np

from kernels.html_tree import (
    AT,
    BEGIN,
    BLOCK_FIELDS,
    BLOCKS,
    DEPTH,
    LINKED,
    MUTED,
    NODE_FIELDS,
    NODES,
    PARENT,
    STATE_FIELDS,
    TAG_OF,
    TOP,
    close,
    flush,
    imply,
    opened,
)
from kernels.jit import jit
from kernels.markup import (
    ALT_END,
    ALT_START,
    CUE,
    FORMULA,
    FOUND_FIELDS,
    HIDES,
    HREF,
    PUBLISHED,
    SELF_CLOSED,
    append,
    attributes,
    is_letter,
    mark_end,
    name_hash,
    raw_end,
    seek,
)
from kernels.tags import BLOCK, CUSTOM, KIND, MUTE, RAW, TAG, TAGS, VOID, find

TITLE_START, TITLE_END, CALLED, PAGE_FIELDS = 0, 1, 2, 3
A, BR, PRE, LISTING, TITLE, META = TAG["a"], TAG["br"], TAG["pre"], TAG["listing"], TAG["title"], TAG["meta"]
Q, IMG = TAG["q"], TAG["img"]
BUTTON, H1, H6, DT, SUMMARY = TAG["button"], TAG["h1"], TAG["h6"], TAG["dt"], TAG["summary"]
SVG, HTML, BODY, HEAD, SCRIPT, STYLE = TAG["svg"], TAG["html"], TAG["body"], TAG["head"], TAG["script"], TAG["style"]


@jit
def scan(data: np.ndarray, cues: np.ndarray) -> tuple:
    """Return nodes i64 [n_nodes, NODE_FIELDS] (node 0 is the page; a parent stands before its children), blocks i64
    [n_blocks, BLOCK_FIELDS] in the order of the page, their text u8 [n_text], and the page's own i64 [PAGE_FIELDS].

    data u8 [n_bytes]: UTF-8. cues: a kernels.tags.table of words and pairs of words in class, id, role and itemprop;
    the bits of all that an element has are its cue.
    """
    n = len(data)
    text = np.empty(n + 16, dtype=np.uint8)
    nodes = np.zeros((256, NODE_FIELDS), dtype=np.int64)
    blocks = np.zeros((256, BLOCK_FIELDS), dtype=np.int64)
    page = np.zeros(PAGE_FIELDS, dtype=np.int64)
    stack = np.zeros((3, DEPTH + 1), dtype=np.int64)
    open_tags = np.zeros(CUSTOM + 1, dtype=np.int64)
    endless = np.zeros(CUSTOM + 1, dtype=np.bool_)  # raw-text elements whose end tag is not to be found any more
    found = np.zeros(FOUND_FIELDS, dtype=np.int64)
    s = np.zeros(STATE_FIELDS, dtype=np.int64)
    nodes[0, PARENT] = -1
    s[NODES] = 1
    quotes, comments, cdata = True, True, True
    is_xml = n > 5 and data[0] == 60 and data[1] == 63 and data[2] == 120 and data[3] == 109 and data[4] == 108  # <?xml
    i = 0
    while i < n:
        if s[BLOCKS] + 8 > len(blocks):
            blocks = grown(blocks)
        if s[NODES] + 2 > len(nodes):
            nodes = grown(nodes)
        following = data[i + 1] if i + 1 < n else 0
        if data[i] != 60 or not (is_letter(following) or following in (33, 47, 63)):  # '<' and ! / ?
            end = seek(data, i + 1, 60)
            if s[MUTED] == 0:
                verbatim = open_tags[PRE] + open_tags[LISTING] > 0
                write(data, i, end, text, s, verbatim, open_tags[A] > 0)
            i = end
            continue
        if following == 33 or following == 63:
            if i + 3 < n and data[i + 2] == 45 and data[i + 3] == 45 and comments:  # <!--
                end = mark_end(data, i + 2, 45)
                comments = end >= 0
                i = end if comments else seek(data, i, 62) + 1
            elif cdata and i + 8 < n and data[i + 2] == 91 and data[i + 8] == 91:  # <![CDATA[
                end = mark_end(data, i + 9, 93)
                cdata = end >= 0
                if cdata and s[MUTED] == 0:
                    write(data, i + 9, end - 3, text, s, open_tags[PRE] > 0, open_tags[A] > 0)
                i = end if cdata else seek(data, i, 62) + 1
            else:
                i = seek(data, i, 62) + 1
            continue
        closing = following == 47
        i += 2 if closing else 1
        if closing and (i >= n or not is_letter(data[i])):
            i = seek(data, i, 62) + 1
            continue
        hashed, dashed, i = name_hash(data, i)
        tag = find(TAGS, hashed)
        if tag == 0 and dashed:
            tag = CUSTOM
        if closing:
            i = seek(data, i, 62) + 1
            if tag == Q and open_tags[Q] and s[MUTED] == 0:
                quote(text, s, open_tags[Q], 1)
            close(tag, hashed, text, blocks, stack, open_tags, s)
            continue
        begin = i
        i = attributes(data, begin, cues, found, quotes, tag == META)
        if i < 0:  # a quote never ends: from here on tags end at the first '>'
            quotes = False
            i = attributes(data, begin, cues, found, quotes, tag == META)
        kind = KIND[tag]
        if tag == META and found[PUBLISHED]:
            page[CALLED] = max(page[CALLED], found[PUBLISHED])
        if kind & RAW and found[SELF_CLOSED] and is_xml:
            continue
        if kind & RAW:
            end = -1 if endless[tag] else raw_end(data, i, hashed)
            if end < 0:
                endless[tag] = True
                if tag in (SCRIPT, STYLE):
                    break
                continue
            if tag == TITLE and page[TITLE_END] == 0 and open_tags[SVG] == 0:
                page[TITLE_START], page[TITLE_END] = i, end
            if not kind & MUTE and s[MUTED] == 0:
                opened(tag, hashed, found, nodes, text, blocks, stack, open_tags, s)
                write(data, i, end, text, s, True, False)
                close(tag, hashed, text, blocks, stack, open_tags, s)
            i = seek(data, end, 62) + 1
            continue
        if tag == BR:
            if s[MUTED] == 0:
                line_break(text, blocks, stack, s, open_tags[PRE] > 0)
            continue
        imply(tag, kind, text, blocks, stack, open_tags, s)
        if kind & VOID:
            if tag == IMG and found[CUE] & FORMULA and not found[CUE] & HIDES and s[MUTED] == 0:
                write(data, found[ALT_START], found[ALT_END], text, s, False, open_tags[A] > 0)
            if kind & BLOCK:
                flush(text, blocks, stack, s, 0)
            continue
        if tag in (HTML, BODY, HEAD):
            continue
        found[CUE] &= ~FORMULA
        if found[SELF_CLOSED] and (not kind & BLOCK or open_tags[SVG]):
            continue
        if tag == A and not found[HREF] or tag == BUTTON and is_heading(stack[TAG_OF, s[TOP]]):
            tag = 0
        opened(tag, hashed, found, nodes, text, blocks, stack, open_tags, s)
        if tag == PRE and i < n and data[i] == 10:
            i += 1
        if tag == Q and s[MUTED] == 0:
            quote(text, s, open_tags[Q], 0)
    flush(text, blocks, stack, s, 0)
    return nodes[: s[NODES]], blocks[: s[BLOCKS]], text[: s[AT]], page


@jit
def is_heading(tag):
    """Is a button directly in it what a reader presses to unfold the text below, and so the heading itself?"""
    return H1 <= tag <= H6 or tag in (DT, SUMMARY)


@jit
def grown(rows: np.ndarray) -> np.ndarray:
    """Return a copy with twice the rows."""
    larger = np.zeros((2 * len(rows), rows.shape[1]), dtype=rows.dtype)
    larger[: len(rows)] = rows
    return larger


@jit
def write(data, start, end, text, s, verbatim, linked):
    """Append data[start:end] to the open block."""
    at = append(data, start, end, text, s[AT], s[BEGIN], verbatim)
    if linked:
        s[LINKED] += at - s[AT]
    s[AT] = at


@jit
def quote(text, s, level, closing):
    """Write the mark that a browser shows around <q>: “ ”, within another ‘ ’."""
    at = s[AT]
    text[at], text[at + 1], text[at + 2] = 0xE2, 0x80, (0x9C if level % 2 else 0x98) + closing
    s[AT] = at + 3


@jit
def line_break(text, blocks, stack, s, verbatim):
    """Handle <br>: a new line; two of them end the block."""
    at = s[AT]
    while not verbatim and at > s[BEGIN] and text[at - 1] == 32:
        at -= 1
    s[AT] = at
    if not verbatim and at > s[BEGIN] and text[at - 1] == 10:
        flush(text, blocks, stack, s, 0)
    elif verbatim or at > s[BEGIN]:
        text[at] = 10
        s[AT] = at + 1
