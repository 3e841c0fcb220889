"""Finds blocks of a page that stand in it before: an article that is sent once for screens and once for telephones, a
standfirst that is repeated, a slide whose caption comes twice.

Blocks are compared by a 64-bit hash of their bytes. A short one (a chorus, a question of an interview) counts as
repeated only right behind a longer one that does, and a table may say the same twice. So may one element: what is
sent twice stands in two.
"""

import numpy as np

from kernels.html_tree import END, KIND_OF, NODE, PARENT, START
from kernels.jit import jit
from kernels.tags import TAG

TD, TH = TAG["td"], TAG["th"]
LONG = 100  # bytes
TRIES = 64  # of places for a hash: a page may be made of blocks that all want the same one
PRIME, SEED = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)


@jit
def drop_repeated(nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray, kept: np.ndarray) -> None:
    """Clear `kept` of each block that repeats one that is kept before it, in place."""
    size = 16
    while size < 2 * len(blocks):
        size *= 2
    seen, within = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int64)
    running = False
    for b in range(len(blocks)):
        if not kept[b] or nodes[blocks[b, NODE], KIND_OF] in (TD, TH):
            continue
        value = SEED
        for k in range(blocks[b, START], blocks[b, END]):
            value = (value ^ np.uint64(text[k])) * PRIME
        value |= np.uint64(1)  # 0 is an empty slot
        at = np.int64(value >> np.uint64(20)) & (size - 1)
        tries = 1
        while seen[at] and seen[at] != value and tries < TRIES:
            at = (at + 1) & (size - 1)
            tries += 1
        up = nodes[blocks[b, NODE], PARENT]
        apart = seen[at] == value and within[at] != up
        running = apart and (running or blocks[b, END] - blocks[b, START] >= LONG)
        if not running:
            seen[at], within[at] = value, up
        kept[b] = not running
