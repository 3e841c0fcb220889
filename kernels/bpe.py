"""Byte-pair merges of one short text, in SentencePiece's order: the best pair first, the leftmost among equals.

Symbols are numbered by rank, best piece first, so the best pair is the one whose result has the smallest number. A pair
may merge whenever its result is a piece, however that piece was learned (tiktoken does the same). Text is cut into
units beforehand, by encode.py.
"""

import numpy as np

from kernels.hashmap import find
from kernels.jit import jit

NONE = np.int32(0x7FFFFFFF)  # the rank of a pair that makes no piece
SHORT = 48  # symbols; in longer units a heap finds the next pair


@jit
def pair(keys, values, left, right):
    """Return the rank of left + right (i32), NONE if that is no piece. A symbol below 0 is unknown and joins
    nothing."""
    if left < 0 or right < 0:
        return NONE
    rank = find(keys, values, (np.uint64(left) << np.uint64(32)) | np.uint64(right))
    return rank if rank >= 0 else NONE


@jit
def split(single, keys, values, data, begin, end, symbols, starts):
    """Split data[begin:end] into symbols before any merge: fill their ranks (-1: unknown) and starts; return how
    many."""
    count = 0
    i = begin
    while i < end:
        byte = data[i]
        rank = single[byte]
        size = 1
        if rank == -2:  # the first byte of a longer character
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            key = np.uint64(0)
            for k in range(i, min(i + size, end)):
                key = (key << np.uint64(8)) | np.uint64(data[k])
            rank = find(keys, values, key)
        symbols[count] = rank
        starts[count] = i
        count += 1
        i += size
    return count


@jit
def merge(single, character_keys, character_values, keys, values, ids, byte_ids, scratch, data, begin, end, out, at):
    """Write the ids of data[begin:end] to out[at:]; return where they end. Unknown characters become byte pieces.

    The tables: see encode.Vocabulary. scratch: i64 [3, end - begin + 1 or more], written to.
    """
    symbols, starts = scratch[0], scratch[1]
    count = split(single, character_keys, character_values, data, begin, end, symbols, starts)
    starts[count] = end
    if count <= SHORT:
        count = merge_short(keys, values, symbols, starts, scratch[2], count)
    else:
        count = merge_long(keys, values, symbols, starts, count)
    for k in range(count):
        if symbols[k] >= 0:
            out[at] = ids[symbols[k]]
            at += 1
        else:
            for i in range(starts[k], starts[k + 1]):
                out[at] = byte_ids[data[i]]
                at += 1
    return at


@jit
def merge_short(keys, values, symbols, starts, ranks, count):
    """Merge in place, looking at all pairs again after each merge; return how many symbols are left."""
    for k in range(count - 1):
        ranks[k] = pair(keys, values, symbols[k], symbols[k + 1])
    while count > 1:
        best = 0
        for k in range(1, count - 1):
            if ranks[k] < ranks[best]:
                best = k
        if ranks[best] == NONE:
            break
        symbols[best] = ranks[best]
        count -= 1
        for k in range(best + 1, count):
            symbols[k] = symbols[k + 1]
            starts[k] = starts[k + 1]
            ranks[k - 1] = ranks[k]
        starts[count] = starts[count + 1]
        if best > 0:
            ranks[best - 1] = pair(keys, values, symbols[best - 1], symbols[best])
        if best < count - 1:
            ranks[best] = pair(keys, values, symbols[best], symbols[best + 1])
    return count


@jit
def merge_long(keys, values, symbols, starts, count):
    """Merge in place like `merge_short`, with a linked list of symbols and a heap of pairs (rank << 32 | position of
    the left symbol)."""
    before = np.arange(-1, count - 1).astype(np.int32)
    after = np.arange(1, count + 1).astype(np.int32)
    alive = np.ones(count, np.bool_)
    heap = np.empty(3 * count, np.uint64)  # one entry for each pair there ever is: two new ones a merge
    size = 0
    for k in range(count - 1):
        size = push(keys, values, symbols, heap, size, k, k + 1)
    while size > 0:
        entry = heap[0]
        size = pop(heap, size)
        left = np.int64(entry & np.uint64(0xFFFFFFFF))
        rank = np.int32(entry >> np.uint64(32))
        right = after[left]
        if not alive[left] or right >= count or pair(keys, values, symbols[left], symbols[right]) != rank:
            continue  # the entry is outdated
        symbols[left] = rank
        alive[right] = False
        after[left] = after[right]
        if after[left] < count:
            before[after[left]] = left
            size = push(keys, values, symbols, heap, size, left, after[left])
        if before[left] >= 0:
            size = push(keys, values, symbols, heap, size, before[left], left)
    kept = 0
    for k in range(count):
        if alive[k]:
            symbols[kept] = symbols[k]
            starts[kept] = starts[k]
            kept += 1
    starts[kept] = starts[count]
    return kept


@jit
def push(keys, values, symbols, heap, size, left, right):
    """Add the pair at `left` to the heap if it makes a piece; return the heap's size."""
    rank = pair(keys, values, symbols[left], symbols[right])
    if rank == NONE:
        return size
    entry = (np.uint64(rank) << np.uint64(32)) | np.uint64(left)
    child = size
    while child > 0:
        parent = (child - 1) >> 1
        if heap[parent] <= entry:
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = entry
    return size + 1


@jit
def pop(heap, size):
    """Remove the least entry; return the heap's size."""
    size -= 1
    entry = heap[size]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = entry
    return size
