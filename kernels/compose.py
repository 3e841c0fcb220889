"""Composes the kept blocks of a page as one text."""

import numpy as np

from kernels.html_tree import END, GLUED, KIND_OF, NODE, PARENT, START, add_up
from kernels.jit import jit
from kernels.tags import BLOCK, KIND, TAG

LI, PRE, TABLE, TD, TH, TR = (TAG[name] for name in ["li", "pre", "table", "td", "th", "tr"])


@jit
def compose(nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the kept blocks as one text, u8 [n_bytes]: paragraphs separated by an empty line, "- " before list items,
    the cells of a table's row (if each holds one block at most) joined by " | ", <pre> unchanged."""
    n, m = len(nodes), len(blocks)
    row, item, own = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    code = np.zeros(n, dtype=np.int64)  # the <pre> around it, whose lines may be elements
    cells, filled = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i in range(1, n):
        up, tag = nodes[i, PARENT], nodes[i, KIND_OF]
        own[i] = i if KIND[tag] & BLOCK else own[up]  # the element that an inline one stands in
        row[i] = i if tag == TR else row[up]
        code[i] = i if tag == PRE else code[up]
        item[i] = i if tag == LI else (0 if tag == TABLE else item[up])
        cells[up] += tag in (TD, TH)
    size = 0
    for b in range(m):
        filled[blocks[b, NODE]] += kept[b] and not blocks[b, GLUED]
        size += (blocks[b, END] - blocks[b, START] + 5) if kept[b] else 0
    add_up(nodes, filled)
    result = np.empty(size, dtype=np.uint8)
    at, before, is_line = 0, -1, False  # is_line: the block before is one
    for b in range(m):
        if not kept[b]:
            continue
        node = blocks[b, NODE]
        last = blocks[before, NODE] if before >= 0 else -1
        joined = before >= 0 and blocks[b, GLUED] and own[node] == own[last]
        if joined:
            result[at] = 32
            at += 1
        elif before >= 0 and row[node] and row[node] == row[last] and filled[row[node]] <= cells[row[node]]:
            result[at], result[at + 1], result[at + 2] = 32, 124, 32
            at += 3
        elif before >= 0:
            tight = (
                (row[node] and row[last])
                or (is_line and code[node] and code[node] == code[last])
                or (item[node] and item[last] and item[node] != item[last])
            )
            result[at] = result[at + 1] = 10
            at += 1 if tight else 2
        if item[node] and not joined and (before < 0 or item[node] != item[last]):
            result[at], result[at + 1] = 45, 32
            at += 2
        is_line = True
        for k in range(blocks[b, START], blocks[b, END]):
            is_line &= text[k] != 10
            result[at] = text[k]
            at += 1
        before = b
    return result[:at]
