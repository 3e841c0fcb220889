"""Finds the most probable segmentation of one short text into pieces (Viterbi), with SentencePiece's choices among
ties.

Of two equal paths to one place the one found first stays: the one whose last piece is longer. Scores are integers, so
the ids are the same wherever a text is cut (llm/tokenize/train.py rounds them to multiples of 1/16). The pieces are in
a double-array trie (Aoe 1989): one cell is read for each byte. Text is cut into units beforehand, by encode.py.
"""

import numpy as np

from kernels.jit import jit

BASE, PARENT, ID, SCORE = 0, 1, 2, 3  # columns of a trie: its cells are nodes, the root is cell 0


def trie(parents: np.ndarray, bytes_: np.ndarray, ids: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Make the trie whose node i + 1 is reached from node parents[i] <= i by bytes_[i], i32 [cells, 4]: the child of a
    cell by a byte is cell BASE + byte if that names it as PARENT. ids, scores (i32 [nodes]): of the piece that ends at
    a node, id -1 if none does; the root's score is that of an unknown character."""
    order = np.lexsort((bytes_, parents))
    places, bases, above = place(parents[order].astype(np.int64), bytes_[order].astype(np.int64), order + 1)
    cells = np.full((int(bases.max()) + 256, 4), -1, np.int32)
    cells[places, BASE] = bases
    cells[places, PARENT] = above
    cells[places, ID] = ids
    cells[places, SCORE] = scores
    return cells


@jit
def place(parents, bytes_, children):
    """Return each node's cell, base and parent's cell, i64 [nodes], from the edges sorted by parent and byte; a node's
    base is low, and all its children find free cells."""
    nodes = len(parents) + 1
    places, bases, above = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64), np.full(nodes, -1, np.int64)
    taken = np.zeros(1024, np.bool_)
    taken[0] = True
    lowest = 256  # every cell from 256 to here is taken; earlier ones, which few bytes reach, may be free
    floor = 0  # where the last node with several children went: searching below it again would take quadratic time
    begin = 0
    while begin < len(parents):
        end = begin
        while end < len(parents) and parents[end] == parents[begin]:
            end += 1
        while taken[lowest]:
            lowest += 1
        base = lowest - bytes_[begin]
        if end - begin > 1:
            base = max(base, floor)
        while True:
            if base + 256 >= len(taken):
                taken = np.concatenate((taken, np.zeros(len(taken), np.bool_)))
            free = True
            for k in range(begin, end):
                if taken[base + bytes_[k]]:
                    free = False
                    break
            if free:
                break
            base += 1
        if end - begin > 1:
            floor = base
        bases[parents[begin]] = base
        for k in range(begin, end):
            taken[base + bytes_[k]] = True
            places[children[k]] = base + bytes_[k]
            above[children[k]] = places[parents[begin]]
        begin = end
    return places, bases, above


@jit
def viterbi(cells, byte_ids, scratch, data, begin, end, out, at):
    """Write the ids of data[begin:end] to out[at:]; return where they end. Unknown characters become byte pieces.

    cells: see `trie`. scratch: i64 [3, end - begin + 1 or more], written to.
    """
    size = end - begin
    best, came_from, by = scratch[0], scratch[1], scratch[2]  # by: the piece's id, -1: unknown character
    for stop in range(size + 1):
        came_from[stop] = -1
    best[0] = 0
    start = 0
    while start < size:
        byte = data[begin + start]
        length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        known = False
        cell = np.int64(0)
        for stop in range(start + 1, size + 1):
            child = np.int64(cells[cell, BASE]) + np.int64(data[begin + stop - 1])
            if cells[child, PARENT] != cell:
                break
            cell = child
            piece = cells[cell, ID]
            if piece < 0:
                continue
            score = best[start] + cells[cell, SCORE]
            if came_from[stop] < 0 or score > best[stop]:
                best[stop] = score
                came_from[stop] = start
                by[stop] = piece
            known = known or stop == start + length
        if not known:
            stop = min(start + length, size)
            score = best[start] + cells[0, SCORE]
            if came_from[stop] < 0 or score > best[stop]:
                best[stop] = score
                came_from[stop] = start
                by[stop] = -1
        start += length
    return written(byte_ids, data, begin, size, came_from, by, out, at)


@jit
def written(byte_ids, data, begin, size, came_from, by, out, at):
    """Write the path that ends at `size`, from its beginning, to out[at:]; return where it ends."""
    stop = size
    count = 0
    while stop > 0:
        count += 1 if by[stop] >= 0 else stop - came_from[stop]
        stop = came_from[stop]
    place = at + count
    stop = size
    while stop > 0:
        if by[stop] >= 0:
            place -= 1
            out[place] = by[stop]
        else:
            for i in range(stop - 1, came_from[stop] - 1, -1):
                place -= 1
                out[place] = byte_ids[data[begin + i]]
        stop = came_from[stop]
    return at + count
