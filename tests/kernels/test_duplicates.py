"""Loops of deduplication beside plain Python: keys that come again, signatures without shingles, similar sets."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.duplicates import are_empty, ends_in_common, join_similar, repeated

SETS = st.lists(st.lists(st.integers(0, 12), max_size=14, unique=True), min_size=2, max_size=6)


def test_each_key_that_comes_again_is_marked_and_few_others() -> None:
    keys = np.random.Generator(np.random.PCG64(1)).integers(0, 1 << 64, size=20_000, dtype=np.uint64)
    again = np.concatenate([keys, keys[::10]])
    marked = repeated(again)
    assert marked[:20_000:10].all()
    assert marked[20_000:].all()
    assert marked.sum() < 6_000
    assert repeated(keys[:0]).tolist() == []


def test_keys_of_one_range_and_slice() -> None:
    """Their upper and lower bits are the same."""
    keys = np.arange(10_000, dtype=np.uint64) * np.uint64(1 << 20) | np.uint64(1 << 60) | np.uint64(3)
    assert repeated(keys).sum() < 1_000


@given(st.lists(st.lists(st.sampled_from([7, 9]), min_size=3, max_size=3), max_size=5))
def test_empty_signatures(rows: list[list[int]]) -> None:
    found = are_empty(np.array(rows, dtype=np.uint32).reshape(-1, 3), np.uint32(9))
    assert found.tolist() == [row == [9, 9, 9] for row in rows]


@given(SETS)
def test_ends_in_common(sets: list[list[int]]) -> None:
    for a, b in pairwise(sets):
        front, back = ends_in_common(np.array(a, dtype=np.uint64), np.array(b, dtype=np.uint64))
        assert front + back <= min(len(a), len(b))
        assert a[:front] == b[:front]
        assert a[len(a) - back :] == b[len(b) - back :]
        assert front == min(len(a), len(b)) or a[front] != b[front]


@given(SETS, st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_pairs_are_joined_at_the_threshold(sets: list[list[int]], threshold: float) -> None:
    """Whatever the sets begin and end with, several pairs of one first set among them."""
    offsets = np.cumsum([0, *map(len, sets)])
    values = np.array([value for one in sets for value in one], dtype=np.uint64)
    pairs = np.array([(i, j) for i in range(len(sets)) for j in range(i + 1, len(sets))], dtype=np.int64)
    parent = np.arange(len(sets))
    joined, _ = join_similar(parent, pairs, pairs, values, offsets, threshold)
    group = list(range(len(sets)))
    expected = []
    for i, j in pairs.tolist():
        a, b = set(sets[i]), set(sets[j])
        alike = bool(a & b) and len(a & b) / len(a | b) >= threshold
        expected.append(alike and group[i] != group[j])
        if alike:
            group = [group[i] if each == group[j] else each for each in group]
    assert joined.tolist() == expected
