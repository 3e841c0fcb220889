"""Finds teasers of other articles within an article: a headline that is a link, with the few lines around it.

Pages that tell their stories under headlines of that kind (the ten best of something) are told apart by how much of the
article all of them hold. One pass up and one pass down the elements, whatever the page.
"""

import numpy as np

from kernels.html_tree import END, KIND_OF, LINK, NODE, PARENT, START
from kernels.jit import jit
from kernels.tags import TAG

H1, H6, ARTICLE = TAG["h1"], TAG["h6"], TAG["article"]
LINKED = 0.9  # of a headline
LARGEST = 600  # bytes of prose
SHARE, ALL = 0.2, 0.4  # of the article's prose: what one teaser may hold, and what all of them may


@jit
def drop_teasers(nodes: np.ndarray, blocks: np.ndarray, mass: np.ndarray, root: int, out: np.ndarray) -> None:
    """Mark the teasers below the element `root` in `out`, bool [n_nodes], in place, with all that is in them.
    mass: the bytes of prose in each element."""
    n = len(nodes)
    teaser, below = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for i in range(root + 1, n):
        below[i] = nodes[i, PARENT] == root or below[nodes[i, PARENT]]
    for b in range(len(blocks)):
        node = blocks[b, NODE]
        if H1 <= nodes[node, KIND_OF] <= H6 and blocks[b, LINK] >= LINKED * (blocks[b, END] - blocks[b, START]):
            teaser[nodes[node, PARENT]] = True
    largest = min(LARGEST, SHARE * mass[root])
    for i in range(n - 1, root, -1):
        up = nodes[i, PARENT]
        teaser[i] = teaser[i] and below[i] and mass[i] <= largest
        if teaser[i] and (mass[i] == 0 or mass[up] == mass[i] or nodes[up, KIND_OF] == ARTICLE):
            teaser[up] = True
    teaser[root] = False
    total = 0.0
    for i in range(root + 1, n):
        if teaser[i] and not teaser[nodes[i, PARENT]]:
            total += mass[i]
    for i in range(root + 1, n):
        if total <= ALL * mass[root]:
            out[i] |= teaser[i] or out[nodes[i, PARENT]]
