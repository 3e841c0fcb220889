import numpy as np
import pytest

from kernels.characters import ALPHA, DECIMAL, SPACE, character_kinds, decode
from kernels.repeats import number
from kernels.segments import Segments
from kernels.signals import COUNTS, LONGEST, signal_counts


def test_kinds_are_those_of_str() -> None:
    kinds = character_kinds()
    for flag, test in ((SPACE, str.isspace), (ALPHA, str.isalpha), (DECIMAL, str.isdecimal)):
        assert [point for point in range(0x110000) if test(chr(point))] == np.flatnonzero(kinds & flag).tolist()


def test_decode_at_the_borders_of_each_width() -> None:
    for point in (0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF):
        encoded = chr(point).encode()
        assert decode(np.frombuffer(b"x" + encoded + b"y", dtype=np.uint8), 1) == (point, len(encoded))


def test_equal_hashes_do_not_make_equal_pieces() -> None:
    words = [b"ab", b"cd", b"ab", b"a", b"cd", b"abc"]
    end = np.cumsum([len(word) for word in words]).astype(np.int32)
    start = end - np.array([len(word) for word in words], dtype=np.int32)
    pieces = Segments(start, end, np.zeros(6, dtype=np.uint32), np.zeros(7, dtype=np.int32))
    first = np.empty(6, dtype=np.int32)
    number(np.frombuffer(b"".join(words), dtype=np.uint8), pieces, 6, np.empty(16, dtype=np.int32), first)
    assert first.tolist() == [0, 1, 0, 3, 1, 5]


def test_the_buffer_is_cut_at_its_offsets() -> None:
    data = np.frombuffer("é. une\nfin…".encode(), dtype=np.uint8)
    whole = signal_counts(data, np.array([0, len(data)]))
    parts = signal_counts(data, np.array([0, 2, 2, len(data)]))
    assert tuple(whole) == COUNTS
    assert whole["chars"].tolist() == [11]
    assert parts["chars"].tolist() == [1, 0, 10]
    assert parts["words"].tolist() == [1, 0, 3]


def test_a_document_of_two_gigabytes_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        signal_counts(np.empty(0, dtype=np.uint8), np.array([0, LONGEST + 1]))
