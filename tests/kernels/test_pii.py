"""The scanner: places and kinds, documents by themselves, more candidates than there is room for, characters."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.pii import EMAIL, IPV4, PHONE, SSN, candidates, characters


def buffers(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    data = [text.encode() for text in texts]
    return np.frombuffer(b"".join(data), dtype=np.uint8), np.cumsum([0, *map(len, data)])


def found(*texts: str) -> list[list[int]]:
    return candidates(*buffers(list(texts))).tolist()


def test_places_and_kinds() -> None:
    assert found("a@b.c") == [[0, 0, EMAIL]]
    assert found("", "é ü.x@b.c", "") == [[1, 3, EMAIL]]
    assert found("1.2.3.4", "219-09-9999") == [[0, 0, IPV4], [1, 7, SSN]]
    assert found("(415) 555-2671") == [[0, 0, PHONE]]
    assert found("no such thing, 1999, 12.50, a@ @b @") == []


def test_neighbours_are_not_seen() -> None:
    """What stands at the end of one document is no context of the next."""
    assert found("x", "1.2.3.4", "5") == [[1, 1, IPV4]]
    assert found("1.2.3.", "4") == []
    assert found("mail a", "@b.co") == []


def test_more_candidates_than_room() -> None:
    n = 50_000
    result = candidates(*buffers(["a@b" * n]))
    assert len(result) == n
    assert (np.diff(result[:, 1]) > 0).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.lists(st.integers(0, 20), max_size=4)), max_size=5))
def test_characters(cases: list[tuple[str, list[int]]]) -> None:
    """Of several places in one document, in any order: a kind may begin before one that was tried first."""
    data, offsets = buffers([text for text, _ in cases])
    begins = [offsets[i] for i, (_, lengths) in enumerate(cases) for _ in lengths]
    ends = [offsets[i] + len(text[:n].encode()) for i, (text, lengths) in enumerate(cases) for n in lengths]
    counted = characters(data, np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64))
    assert counted.tolist() == [len(text[:n]) for text, lengths in cases for n in lengths]
