"""Checks the sizes that a GGUF file states against its own, before a reader believes them: the `gguf` package reads on
behind the end of a file, for ever where a damaged count says so.

Layout (github.com/ggml-org/ggml, docs/gguf.md), little-endian: magic, version u32, tensors u64, values u64; each value:
key, type u32, content; each tensor: name, dimensions u32, sizes u64, type u32, offset u64. A text: length u64, UTF-8.
"""

import struct
from collections.abc import Callable

HEADER = struct.Struct("<4sIQQ")
LEAST_VALUE, LEAST_TENSOR = 13, 24  # bytes
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of types of one size
TEXT, LIST = 8, 9
DEEPEST = 4  # lists in lists
MOST_DIMENSIONS = 8


def check_sizes(data: memoryview) -> None:
    """Raise ValueError unless all that the head of a file states lies within it."""
    if len(data) < HEADER.size:
        raise ValueError("it has no header")
    _, version, tensors, values = HEADER.unpack_from(data)
    if version > 0xFFFF:
        raise ValueError("it is big-endian")
    if values * LEAST_VALUE + tensors * LEAST_TENSOR > len(data):
        raise ValueError(f"it states {values:,} values and {tensors:,} tensors in {len(data):,} bytes")
    head = Head(data, HEADER.size)
    for _ in range(values):
        head.text()
        head.value(head.number("<I"))
    for _ in range(tensors):
        head.text()
        dimensions = head.number("<I")
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"a tensor has {dimensions:,} dimensions")
        head.skip(8 * dimensions + 12)


class Head:
    """Goes over the head of a file, never beyond its end."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data, self.position = data, position

    def skip(self, size: int) -> None:
        if size > len(self.data) - self.position:
            raise ValueError(f"{size:,} bytes at {self.position:,} are beyond its end")
        self.position += size

    def number(self, form: str) -> int:
        begin = self.position
        self.skip(struct.calcsize(form))
        return struct.unpack_from(form, self.data, begin)[0]

    def text(self) -> None:
        self.skip(self.number("<Q"))

    def value(self, kind: int, depth: int = 0) -> None:
        """Pass over the content of a value."""
        if kind in SIZES:
            self.skip(SIZES[kind])
        elif kind == TEXT:
            self.text()
        elif kind == LIST and depth < DEEPEST:
            inner, count = self.number("<I"), self.number("<Q")
            if inner in SIZES:
                self.skip(SIZES[inner] * count)
                return
            read: Callable[[], None] = self.text if inner == TEXT else lambda: self.value(inner, depth + 1)
            if count > len(self.data):
                raise ValueError(f"a list of {count:,} is longer than the file")
            for _ in range(count):
                read()
        else:
            raise ValueError(f"type {kind} of a value is unknown")
