"""Bytes that are marked: each @ and digit and no other byte, whatever the length; the next one from any place on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.bytes_marked import mark, next_marked


def places(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if chr(byte) in "@0123456789"]


def test_each_byte_by_itself() -> None:
    for place in (0, 1, 63, 64, 127, 130):
        for byte in range(256):
            data = b" " * place + bytes([byte]) + b" " * 70
            marks = mark(np.frombuffer(data, dtype=np.uint8))
            assert next_marked(marks, 0, len(data)) == (place if places(data) else len(data)), (place, byte)


@given(st.lists(st.tuples(st.integers(0, 130), st.sampled_from(b"@09/:?A\xb0"))), st.integers(0, 70))
def test_all_places_in_turn(gaps: list[tuple[int, int]], rest: int) -> None:
    data = b"".join(b"x" * n + bytes([byte]) for n, byte in gaps) + b"x" * rest
    marks, found, i = mark(np.frombuffer(data, dtype=np.uint8)), [], 0
    while (i := next_marked(marks, i, len(data))) < len(data):
        found.append(i)
        i += 1
    assert found == places(data)


def test_an_end_hides_what_is_behind_it() -> None:
    marks = mark(np.frombuffer(b"x" * 100 + b"7" + b"x" * 100, dtype=np.uint8))
    assert next_marked(marks, 3, 100) == 100
    assert next_marked(marks, 3, 101) == 100
    assert next_marked(marks, 101, 201) == 201
