"""The double-array trie holds exactly the paths that it was made of."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.unigram import BASE, ID, PARENT, SCORE, trie


def walked(cells: np.ndarray, text: bytes) -> int | None:
    """The id at the end of the path that `text` spells; None where the trie has no such path."""
    cell = 0
    for byte in text:
        child = cells[cell, BASE] + byte
        if cells[child, PARENT] != cell:
            return None
        cell = child
    return int(cells[cell, ID])


@settings(max_examples=100, deadline=None)
@given(st.sets(st.binary(min_size=1, max_size=5), max_size=300), st.lists(st.binary(max_size=6), max_size=50))
def test_trie(pieces: set[bytes], others: list[bytes]) -> None:
    children: dict[tuple[int, int], int] = {}
    prefixes, ends = {b""}, {}
    for index, piece in enumerate(sorted(pieces)):
        node = 0
        for end, byte in enumerate(piece, 1):
            node = children.setdefault((node, byte), len(children) + 1)
            prefixes.add(piece[:end])
        ends[node] = index
    ids = np.array([ends.get(node, -1) for node in range(len(children) + 1)], np.int32)
    parents, bytes_ = np.array([*children], np.int32).reshape(-1, 2).T
    cells = trie(parents, bytes_, ids, ids * 3)
    known = {piece: index for index, piece in enumerate(sorted(pieces))}
    for text in {*prefixes, *others, *(piece + b"\0" for piece in pieces)}:
        assert walked(cells, text) == (known.get(text, -1) if text in prefixes else None)
    assert (cells[cells[:, ID] >= 0, SCORE] == 3 * cells[cells[:, ID] >= 0, ID]).all()
