"""Streams cut into records: the same whatever the sizes of the reads, broken records for themselves, cut files told."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.collect.formats import records
from llm.errors import InputError


class Slow(io.BytesIO):
    """Gives a few bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(7 if size is None or size < 0 else min(size, 7))

    def peek(self, size: int) -> bytes:
        return self.getvalue()[self.tell() :]


def elements(data: bytes) -> list[bytes]:
    return [b"".join(element) for element in records.elements(Slow(data), "page", "dump", "it")]


def empty(data: bytes, limit: int = 99) -> list[bytes | None]:
    return list(records.empty_elements(Slow(data), "row", "rows", "it", limit))


def test_elements() -> None:
    pages = [b"<page>one</page>", b"<page></page>", b"<page>not closed ", b"<page>a<b>c</b></page>"]
    assert elements(b"<dump>\n" + b"\n".join(pages).replace(b"closed \n", b"closed ") + b"\n</dump>\n") == pages


def test_what_is_not_read_of_an_element_is_passed_over() -> None:
    data = b"<dump>" + b"".join(b"<page>%d" % number + b"x" * 50 + b"</page>" for number in range(9)) + b"</dump>"
    found = [next(element) + next(element) for element in records.elements(Slow(data), "page", "dump", "it")]
    assert [piece[:7] for piece in found] == [b"<page>%d" % number for number in range(9)]


def test_empty_elements() -> None:
    data = b'<rows>\n <row a="1/>2"/>\n <row b="' + b"y" * 200 + b'"/> <row c\n d="x"/>tail</rows>'
    assert empty(data) == [b'<row a="1/>2"/>\n ', None, b'<row c\n d="x"/>tail']


@pytest.mark.parametrize("data", [b"", b"<dump>", b"<dump><page>", b"<dump><page></page>", b"<dump></dump>more"])
def test_a_file_without_its_end(data: bytes) -> None:
    with pytest.raises(InputError, match="it: not a whole <dump>"):
        elements(data)


@given(st.lists(st.text(alphabet="ab<>/ pgerow", max_size=30)), st.integers(1, 40))
def test_any_text_ends(parts: list[str], limit: int) -> None:
    data = "<page>".join(parts).encode() + b"</dump>"
    assert b"".join(elements(data)) in data or len(elements(data)) > 1
    assert all(row is None or len(row) <= limit for row in empty("<row ".join(parts).encode() + b"</rows>", limit))


def test_utf_16() -> None:
    data = "<dump><page>Łódź</page></dump>".encode("utf-16")
    found = records.elements(io.BufferedReader(io.BytesIO(data)), "page", "dump", "it")
    assert [b"".join(element).decode() for element in found] == ["<page>Łódź</page>"]


def test_lines() -> None:
    data = b"one\n" + b"x" * 50 + b"\n\nlast"
    assert list(records.lines(io.BytesIO(data), 20)) == [b"one\n", None, b"\n", b"last"]
