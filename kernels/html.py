"""Parses HTML into blocks of text in one pass over the bytes: elements that matter as nodes, runs of text as blocks.

`scan` follows the HTML standard's tokenizer and what of its tree construction keeps real pages in shape: void and
raw-text elements, implied end tags (p, li, dt, dd, tr, td, ...), end tags that match nothing, links that never end.
Elements deeper than DEPTH become siblings, as in browsers; nothing recurses; time is linear in the bytes. Any bytes are
markup: there are no errors. Character references stay as they are written, except blank and invisible ones. Which
blocks are a page's content is the question of kernels/content.py, attributes and characters are kernels/markup.py's.
"""

import numpy as np

from kernels.jit import jit
from kernels.markup import (
    CUE,
    FOUND_FIELDS,
    HIDES,
    HREF,
    ID_CUE,
    ID_END,
    ID_START,
    PUBLISHED,
    SELF_CLOSED,
    UNREAD,
    append,
    attributes,
    is_letter,
    mark_end,
    name_hash,
    raw_end,
    seek,
)
from kernels.tags import BLOCK, CLOSES_P, CUSTOM, KIND, MUTE, RAW, SCOPE, TAG, TAGS, VOID, find

# columns of nodes; FIRST: the number of its first block
KIND_OF, PARENT, CUES, CUES_OF_ID, ID_FROM, ID_TO, FIRST, NODE_FIELDS = 0, 1, 2, 3, 4, 5, 6, 7
NODE, START, END, LINK, GLUED, BLOCK_FIELDS = 0, 1, 2, 3, 4, 5  # columns of blocks
TITLE_START, TITLE_END, IS_ARTICLE, PAGE_FIELDS = 0, 1, 2, 3
DEPTH = 512
MOST = 1 << 19  # most nodes and blocks; beyond them, text is added to the last ones
A, BR, P, LI, DD, DT, DL = TAG["a"], TAG["br"], TAG["p"], TAG["li"], TAG["dd"], TAG["dt"], TAG["dl"]
UL, OL, TD, TH, TR, TABLE = TAG["ul"], TAG["ol"], TAG["td"], TAG["th"], TAG["tr"], TAG["table"]
PRE, LISTING, TITLE, META, SVG = TAG["pre"], TAG["listing"], TAG["title"], TAG["meta"], TAG["svg"]
TBODY, THEAD, TFOOT, H1, H6 = TAG["tbody"], TAG["thead"], TAG["tfoot"], TAG["h1"], TAG["h6"]
HTML, BODY, HEAD = TAG["html"], TAG["body"], TAG["head"]
SCRIPT, STYLE = TAG["script"], TAG["style"]
# The scanner's state: length of the text, start of the open block, its bytes in links, whether it is glued to the
# one before, numbers of blocks and nodes, depth of the stack, depth from which text is mute (0: none).
AT, BEGIN, LINKED, GLUE, BLOCKS, NODES, TOP, MUTED, STATE_FIELDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
TAG_OF, HASH_OF, NODE_OF = 0, 1, 2  # rows of the stack


@jit
def scan(data: np.ndarray, cues: np.ndarray) -> tuple:
    """Return nodes i64 [n_nodes, NODE_FIELDS] (node 0 is the page; a parent stands before its children), blocks i64

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
            close(tag, hashed, text, blocks, stack, open_tags, s)
            continue
        begin = i
        i = attributes(data, begin, cues, found, quotes, tag == META)
        if i < 0:  # a quote never ends: from here on tags end at the first '>'
            quotes = False
            i = attributes(data, begin, cues, found, quotes, tag == META)
        kind = KIND[tag]
        if tag == META and found[PUBLISHED]:
            page[IS_ARTICLE] = 1
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
            if kind & BLOCK:
                flush(text, blocks, stack, s, 0)
            continue
        if tag in (HTML, BODY, HEAD):
            continue
        if found[SELF_CLOSED] and (not kind & BLOCK or open_tags[SVG]):
            continue
        if tag == A and not found[HREF]:
            tag = 0
        opened(tag, hashed, found, nodes, text, blocks, stack, open_tags, s)
        if tag == PRE and i < n and data[i] == 10:
            i += 1
    flush(text, blocks, stack, s, 0)
    return nodes[: s[NODES]], blocks[: s[BLOCKS]], text[: s[AT]], page


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
def flush(text, blocks, stack, s, glue):
    """End the open block if it has text; `glue`: whether the next one follows it without a break."""
    at, begin = s[AT], s[BEGIN]
    while at > begin and text[at - 1] <= 32:
        at -= 1
    if at > begin and s[BLOCKS] >= MOST:
        text[at] = 10
        s[AT] = at + 1
        return
    if at > begin:
        row = blocks[s[BLOCKS]]
        row[NODE], row[START], row[END] = stack[NODE_OF, s[TOP]], begin, at
        row[LINK], row[GLUED] = min(s[LINKED], at - begin), s[GLUE]
        s[BLOCKS] += 1
        s[GLUE] = glue
    elif not glue:
        s[GLUE] = 0
    s[AT] = s[BEGIN] = at
    s[LINKED] = 0


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


@jit
def opened(tag, hashed, found, nodes, text, blocks, stack, open_tags, s):
    """An element begins: a node if it is a block or has a cue. In <pre> words name code and are no cues."""
    kind, node = KIND[tag], stack[NODE_OF, s[TOP]]
    if open_tags[PRE] + open_tags[LISTING] > 0:
        found[CUE], found[ID_CUE] = found[CUE] & (HIDES | UNREAD), 0
    if s[MUTED] == 0 and (kind & BLOCK or found[CUE] or found[ID_CUE]) and not kind & MUTE and s[NODES] < MOST:
        flush(text, blocks, stack, s, 0 if kind & BLOCK else 1)
        row = nodes[s[NODES]]
        row[KIND_OF], row[PARENT], row[CUES], row[FIRST] = tag, node, found[CUE], s[BLOCKS]
        row[CUES_OF_ID], row[ID_FROM], row[ID_TO] = found[ID_CUE], found[ID_START], found[ID_END]
        node = s[NODES]
        s[NODES] += 1
    if s[TOP] == DEPTH:
        pop(text, blocks, stack, open_tags, s)
    s[TOP] += 1
    top = s[TOP]
    stack[TAG_OF, top], stack[HASH_OF, top], stack[NODE_OF, top] = tag, hashed, node
    open_tags[tag] += 1
    if kind & MUTE and s[MUTED] == 0:
        s[MUTED] = top


@jit
def pop(text, blocks, stack, open_tags, s):
    """Close the innermost element."""
    top = s[TOP]
    if stack[NODE_OF, top] != stack[NODE_OF, top - 1]:
        flush(text, blocks, stack, s, 0 if KIND[stack[TAG_OF, top]] & BLOCK else 1)
    open_tags[stack[TAG_OF, top]] -= 1
    s[TOP] = top - 1
    if s[MUTED] == top:
        s[MUTED] = 0


@jit
def pop_to(level, text, blocks, stack, open_tags, s):
    """Close all elements from the innermost to stack[level], inclusive."""
    while s[TOP] >= level:
        pop(text, blocks, stack, open_tags, s)


@jit
def imply(tag, kind, text, blocks, stack, open_tags, s):
    """Close the elements that the start tag of `tag` ends implicitly."""
    if kind & CLOSES_P and open_tags[P]:
        end_open(P, P, 0, text, blocks, stack, open_tags, s)
    if tag == LI and open_tags[LI]:
        end_open(LI, LI, UL, text, blocks, stack, open_tags, s)
    elif (tag in (DD, DT)) and open_tags[DD] + open_tags[DT]:
        end_open(DD, DT, DL, text, blocks, stack, open_tags, s)
    elif (tag in (TD, TH)) and open_tags[TD] + open_tags[TH]:
        end_open(TD, TH, TABLE, text, blocks, stack, open_tags, s)
    elif tag == TR and open_tags[TR]:
        end_open(TR, TR, TABLE, text, blocks, stack, open_tags, s)
    elif tag in (TBODY, THEAD, TFOOT):
        end_open(TBODY, THEAD, TABLE, text, blocks, stack, open_tags, s)
    elif H1 <= tag <= H6 and H1 <= stack[TAG_OF, s[TOP]] <= H6:
        pop(text, blocks, stack, open_tags, s)
    elif tag == A and open_tags[A]:
        unlink(stack, open_tags, s)


@jit
def end_open(one, other, within, text, blocks, stack, open_tags, s):
    """Close the innermost `one` or `other`, unless `within` is nearer (or a cell, except for a table's parts)."""
    for level in range(s[TOP], 0, -1):
        tag = stack[TAG_OF, level]
        if tag in (one, other) or one == TBODY and tag == TFOOT:
            pop_to(level, text, blocks, stack, open_tags, s)
            return
        if tag == within or (within == UL and tag == OL) or (within != TABLE and KIND[tag] & SCOPE):
            return


@jit
def unlink(stack, open_tags, s):
    """Turn the innermost link, which its own block did not close, into a plain element."""
    for level in range(s[TOP], 0, -1):
        if stack[TAG_OF, level] == A:
            stack[TAG_OF, level] = 0
            open_tags[A] -= 1
            open_tags[0] += 1
            return


@jit
def close(tag, hashed, text, blocks, stack, open_tags, s):
    """Handle an end tag: close the innermost element of its name and all within it, or nothing."""
    kind = KIND[tag]
    if tag == P and open_tags[P] == 0:
        flush(text, blocks, stack, s, 0)
    if open_tags[tag] == 0 and tag != A:
        return
    of_table = tag in (TD, TH, TR, TBODY, THEAD, TFOOT)
    for level in range(s[TOP], 0, -1):
        other = stack[TAG_OF, level]
        if stack[HASH_OF, level] == hashed or (H1 <= tag <= H6 and H1 <= other <= H6):
            pop_to(level, text, blocks, stack, open_tags, s)
            return
        if kind & MUTE or tag == TABLE:
            continue
        if of_table:
            if other == TABLE:
                return
        elif KIND[other] & (SCOPE if kind & BLOCK else BLOCK):
            break
    if tag == A and open_tags[A]:
        unlink(stack, open_tags, s)
