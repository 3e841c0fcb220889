"""Tells running text, as an article's is, from reference pages: most of it stands in paragraphs, and it has neither
tables nor code nor terms. A page that tells social networks what it is (`og:title`) and is such is an article."""

import numpy as np

from kernels.html_tree import END, KIND_OF, LINK, NODE, PARENT, START
from kernels.jit import jit
from kernels.tags import TAG

H1, H6, LI = TAG["h1"], TAG["h6"], TAG["li"]
TD, TH, DD, DT = TAG["td"], TAG["th"], TAG["dd"], TAG["dt"]
PRE, LISTING, XMP = TAG["pre"], TAG["listing"], TAG["xmp"]
PARAGRAPH = 80  # bytes
FEWEST = 3  # paragraphs
SHARE = 0.8  # of the bytes, in paragraphs
LINKED = 0.33  # of a paragraph


@jit
def is_running(nodes: np.ndarray, blocks: np.ndarray, root: int, out: np.ndarray) -> bool:
    """Is what stands in the element `root`, without the elements `out`, bool [n_nodes], running text?"""
    inside = np.zeros(len(nodes), dtype=np.bool_)
    inside[root] = True
    for i in range(root + 1, len(nodes)):
        inside[i] = inside[nodes[i, PARENT]] and not out[i]
    size, running, paragraphs = 0, 0, 0
    for b in range(len(blocks)):
        tag, length = nodes[blocks[b, NODE], KIND_OF], blocks[b, END] - blocks[b, START]
        if not inside[blocks[b, NODE]]:
            continue
        if tag in (TD, TH, DD, DT, PRE, LISTING, XMP):
            return False
        size += length
        if length >= PARAGRAPH and blocks[b, LINK] < LINKED * length and tag != LI and not H1 <= tag <= H6:
            running += length
            paragraphs += 1
    return paragraphs >= FEWEST and running >= SHARE * size
