"""The most probable segmentation of one short text into pieces (Viterbi), with SentencePiece's choices among equals.

Of two equal paths to one place the one found first stays: the one whose last piece is longer. Scores whose sums float32
and float64 hold exactly (llm/tokenizer/train.py rounds them) give the same ids wherever a text is cut and in either
precision. Cuts no text into words: see encode.py.
"""

import numpy as np

from kernels.hashmap import find
from kernels.jit import jit


@jit
def viterbi(vocabulary, data, begin, end, out, at):
    """The ids of data[begin:end] into out[at:]; returns where they end. Unknown characters become byte pieces.

    The trie of pieces: (node << 8 | byte) -> node in pair_keys and pair_values, `ids` and `scores` by node (id -1: no
    piece ends there), the root is node 0.
    """
    keys, values = vocabulary.pair_keys, vocabulary.pair_values
    ids, scores = vocabulary.ids, vocabulary.scores
    size = end - begin
    best = np.empty(size + 1, np.float64)
    came_from = np.full(size + 1, -1, np.int64)
    by = np.full(size + 1, -1, np.int32)  # the piece's id, -1: unknown character
    best[0] = 0.0
    start = 0
    while start < size:
        byte = data[begin + start]
        length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        known = False
        node = np.int32(0)
        for stop in range(start + 1, size + 1):
            key = (np.uint64(node) << np.uint64(8)) | np.uint64(data[begin + stop - 1])
            node = find(keys, values, key)
            if node < 0:
                break
            piece = ids[node]
            if piece < 0:
                continue
            score = best[start] + scores[node]
            if came_from[stop] < 0 or score > best[stop]:
                best[stop] = score
                came_from[stop] = start
                by[stop] = piece
            known = known or stop == start + length
        if not known:
            stop = min(start + length, size)
            score = best[start] + scores[0]
            if came_from[stop] < 0 or score > best[stop]:
                best[stop] = score
                came_from[stop] = start
                by[stop] = -1
        start += length
    return written(vocabulary.bytes, data, begin, size, came_from, by, out, at)


@jit
def written(byte_ids, data, begin, size, came_from, by, out, at):
    """The path that ends at `size`, from its beginning, into out[at:]; returns where it ends."""
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
