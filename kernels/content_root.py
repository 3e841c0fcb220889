"""Which element of a page holds its content.

From the page down: to the child with the elements that are called content, while these hold MARKED_SHARE of the prose
at hand, or to the child that alone holds ROOT_SHARE of it. Then down to the page's heading and its paragraphs, if
columns of teasers stand beside them.
"""

import numpy as np

from kernels.boilerplate import DIRECT, is_called_content
from kernels.html_tree import CUES, END, GLUED, KIND_OF, LINK, NODE, PARENT, START, add_up, is_within
from kernels.jit import jit
from kernels.markup import CONTENT
from kernels.tags import HOLDS, KIND, TAG

MARKED_SHARE = 0.55
ROOT_SHARE = 0.8
HEADED_SHARE = 0.4
PHRASE = 25  # bytes: no label
H1, P, HEADER = TAG["h1"], TAG["p"], TAG["header"]


@jit
def root_of(
    nodes: np.ndarray, blocks: np.ndarray, prose: np.ndarray, out: np.ndarray, is_article: bool, is_shared: bool
) -> int:
    """Return the number of the element that holds the content, 0 for the page. prose f64 [n_blocks]: the bytes of each
    block that count; out bool [n_nodes]: is it boilerplate?"""
    n = len(nodes)
    mass, direct = np.zeros(n), np.zeros(n)  # of all in an element, and of paragraphs that stand in the element itself
    for b in range(len(blocks)):
        node = blocks[b, NODE]
        if not out[node]:
            mass[node] += prose[b]
            if nodes[node, KIND_OF] == P and not blocks[b, GLUED]:
                direct[nodes[node, PARENT]] += prose[b]
    add_up(nodes, mass)
    root = frame_of(nodes, mass, direct, out, is_article)
    return headed(nodes, blocks, mass, direct, out, root, is_article or is_shared)


@jit
def frame_of(nodes, mass, direct, out, is_article):
    """Return the element that holds the prose."""
    n = len(nodes)
    marked = np.zeros(n)  # the prose of the best element at or below that is called content
    heaviest, likeliest = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i in range(n - 1, 0, -1):
        up, tag = nodes[i, PARENT], nodes[i, KIND_OF]
        if out[i] or not KIND[tag] & HOLDS or mass[i] == 0:
            continue
        if is_called_content(nodes[i]):
            marked[i] = max(marked[i], mass[i])
        if marked[i] > 0 and marked[i] >= marked[up]:
            marked[up], likeliest[up] = marked[i], i
        if mass[i] >= mass[heaviest[up]] or heaviest[up] == 0:
            heaviest[up] = i
    root = 0
    while True:
        child = likeliest[root]
        if child and marked[child] >= MARKED_SHARE * mass[root]:
            root = child
            continue
        child = heaviest[root]
        if nodes[root, CUES] & CONTENT and (not is_article or direct[root] >= DIRECT):
            return root
        if child and mass[child] >= ROOT_SHARE * mass[root]:
            root = child
            continue
        return root


@jit
def headed(nodes, blocks, mass, direct, out, root, declared):
    """Return the element below `root` that holds both the page's heading and the element with the most paragraphs, if
    it has HEADED_SHARE of the prose; or root. A page that does not declare itself may be of documentation: there only
    what follows may go, and nothing of what is called content."""
    h1 = -1
    for b in range(len(blocks)):
        node = blocks[b, NODE]
        if nodes[node, KIND_OF] == H1 and not out[node]:
            h1 = node
            break
    best = 0
    for i in range(1, len(nodes)):
        best = i if direct[i] > direct[best] else best
    if h1 < 0 or best == 0:
        return root
    while best != h1:
        if best > h1:
            best = nodes[best, PARENT]
        else:
            h1 = nodes[h1, PARENT]
    while nodes[best, KIND_OF] == HEADER:
        best = nodes[best, PARENT]
    if not is_within(nodes, best, root) or mass[best] < HEADED_SHARE * mass[root]:
        return root
    if declared:
        return best
    up = root
    while up > 0:
        if is_called_content(nodes[up]):
            return root
        up = nodes[up, PARENT]
    for b in range(len(blocks)):
        node = blocks[b, NODE]
        if node >= best:
            break
        unlinked = blocks[b, END] - blocks[b, START] - blocks[b, LINK]
        if unlinked >= PHRASE and not out[node] and is_within(nodes, node, root):
            return root
    return best
