"""Which headings of a page's content have nothing below them that stays: kernels/content.py calls it last."""

from kernels.html_tree import KIND_OF, LINK, NODE, PARENT
from kernels.jit import jit
from kernels.tags import TAG

H1, H6 = TAG["h1"], TAG["h6"]
LABEL = 40  # bytes


@jit
def drop_last(nodes, blocks, kept):
    """Drop the headings at the end, with nothing below them, unless there is nothing else."""
    last = len(blocks) - 1
    while last >= 0 and (not kept[last] or H1 <= nodes[blocks[last, NODE], KIND_OF] <= H6):
        last -= 1
    if last >= 0:
        kept[last + 1 :] = False


@jit
def drop_empty(nodes, blocks, kept):
    """Drop the headings of lists of links that go: behind one stand links that are dropped, then another heading or
    what is not within the heading's own element. Those before the first paragraph are the page's own."""
    first = 0
    while first < len(blocks) and not (kept[first] and not H1 <= nodes[blocks[first, NODE], KIND_OF] <= H6):
        first += 1
    following, gone = -1, 0  # the next kept block, and the bytes of links that go before it
    for b in range(len(blocks) - 1, first, -1):
        if not kept[b]:
            gone += blocks[b, LINK]
            continue
        node = blocks[b, NODE]
        if following >= 0 and gone >= LABEL and H1 <= nodes[node, KIND_OF] <= H6:
            below, up = blocks[following, NODE], nodes[node, PARENT]
            ends = H1 <= nodes[below, KIND_OF] <= nodes[node, KIND_OF]
            while below > up:
                below = nodes[below, PARENT]
            if ends or below != up:
                kept[b] = False
                continue
        following, gone = b, 0
