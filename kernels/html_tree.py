"""Keeps the elements that are open while kernels/html.py reads a page: what begins and ends them, and which nodes and
blocks come of them.

It has what of the HTML standard's tree construction keeps real pages in shape: implied end tags (p, li, dt, dd, tr, td,
...), end tags that match nothing, links that never end. Elements deeper than DEPTH become siblings, as in browsers.
"""

from kernels.jit import jit
from kernels.markup import CUE, HIDES, ID_CUE, ID_END, ID_START, UNREAD
from kernels.tags import BLOCK, CLOSES_P, KIND, MUTE, SCOPE, TAG

# columns of nodes; FIRST: the number of its first block
KIND_OF, PARENT, CUES, CUES_OF_ID, ID_FROM, ID_TO, FIRST, NODE_FIELDS = 0, 1, 2, 3, 4, 5, 6, 7
NODE, START, END, LINK, GLUED, BLOCK_FIELDS = 0, 1, 2, 3, 4, 5  # columns of blocks
DEPTH = 512
MOST = 1 << 19  # most nodes and blocks; beyond them, text is added to the last ones
A, P, LI, DD, DT, DL = TAG["a"], TAG["p"], TAG["li"], TAG["dd"], TAG["dt"], TAG["dl"]
UL, OL, TD, TH, TR, TABLE = TAG["ul"], TAG["ol"], TAG["td"], TAG["th"], TAG["tr"], TAG["table"]
PRE, LISTING, TBODY, THEAD, TFOOT, H1 = TAG["pre"], TAG["listing"], TAG["tbody"], TAG["thead"], TAG["tfoot"], TAG["h1"]
H6 = TAG["h6"]
# The scanner's state: length of the text, start of the open block, its bytes in links, whether it is glued to the
# one before, numbers of blocks and nodes, depth of the stack, depth from which text is mute (0: none).
AT, BEGIN, LINKED, GLUE, BLOCKS, NODES, TOP, MUTED, STATE_FIELDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
TAG_OF, HASH_OF, NODE_OF = 0, 1, 2  # rows of the stack


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


@jit
def add_up(nodes, values):
    """Add to every element's value those of the elements below it, in place."""
    for i in range(len(nodes) - 1, 0, -1):
        values[nodes[i, PARENT]] += values[i]


@jit
def is_within(nodes, node, i):
    """Is a node the element i, or below it?"""
    while node > i:
        node = nodes[node, PARENT]
    return node == i
