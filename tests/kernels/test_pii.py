"""The scanner: places and kinds, documents by themselves, more candidates than there is room for, characters."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.characters import characters
from kernels.pii import CARD, EMAIL, IPV4, PHONE, SSN, candidates


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


def test_rows_of_numbers_are_no_places() -> None:
    """Tables, dates and references, also near a word that announces a phone number but not right before them."""
    assert found("0 3 0 0 0 0 3 0 0 0 0\n0 0 0 5 0 0 0 0 0 0 0") == []
    assert found("phone freaking (2003-12-05)", "Fax: find 6 10 12 14 16 18 20", "doi 10.1007/978-3-540-31856-9") == []
    assert found("telephone\n7004321", "tel no. 7004321", "тел7004321") == [
        [0, 10, PHONE],
        [1, 25, PHONE],
        [2, 38, PHONE],
    ]


def test_cards_have_a_check_digit() -> None:
    """Also where what follows in the row belongs to something else."""
    cards = ("4111111111111111", "4111 1111 1111 1111 123", "4111-1111-1111-1111")
    assert [row for row in found(*cards) if row[2] == CARD] == [[0, 0, CARD], [1, 16, CARD], [2, 39, CARD]]
    assert CARD not in [row[2] for row in found("4111111111111112", "4111 1111 1111-1111", "1234 5678 9013 3456")]


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
