"""Cuts a stream into its records: lines, or the elements that an XML file is a list of.

It parses none of them, so that a broken one costs the others nothing.
"""

import codecs
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import BinaryIO

from llm.errors import InputError

CHUNK = 1 << 20
TAIL = 64


def lines(file: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """Yield the lines of a file; None for one of more than `limit` bytes, which is not kept."""
    while line := file.readline(limit + 1):
        if len(line) <= limit:
            yield line
            continue
        while not line.endswith(b"\n") and (line := file.readline(limit)):
            pass
        yield None


def elements(file: BufferedReader, name: str, root: str, where: str) -> Iterator[Iterator[bytes]]:
    """Yield each <name>...</name> in pieces of about CHUNK bytes; what is not read of one is passed over. Their tags
    have no attributes, and none lies in another: one that is not closed ends where the next one begins. Raises
    InputError, beginning with `where`, if the file ends before </root>."""
    window, begin, tag = Window(file), f"<{name}>".encode(), re.compile(f"</?{name}>".encode())
    while window.find(re.compile(begin), len(begin)):
        element = window.element(begin, tag)
        yield element
        for _ in element:
            pass
    window.check_end(root, where)


def empty_elements(file: BufferedReader, name: str, root: str, where: str, limit: int) -> Iterator[bytes | None]:
    """Yield each <name .../>, with all that follows up to the next "<"; None for one of more than `limit` bytes. Raises
    InputError if the file ends before </root>."""
    window, begin = Window(file), re.compile(rf"<{name}[\s/]".encode())
    while window.find(begin, len(name) + 2):
        data = bytearray()
        for piece in window.until_tag(len(name) + 2):
            data += piece if len(data) <= limit else b""
        yield bytes(data) if len(data) <= limit else None
    window.check_end(root, where)


class Window:
    """The bytes of a stream from the current position on, as far as they were read; in UTF-8 if it is marked as
    UTF-16."""

    def __init__(self, file: BufferedReader) -> None:
        marked = file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        self.file = codecs.EncodedFile(file, "utf-8", "utf-16", errors="replace") if marked else file
        self.data, self.position, self.tail = b"", 0, b""

    def more(self) -> bool:
        """Read on. Returns False at the end of the stream."""
        chunk = self.file.read(CHUNK)
        self.data, self.position = self.data[self.position :] + chunk, 0
        self.tail = (self.tail + chunk[-TAIL:])[-TAIL:]
        return bool(chunk)

    def find(self, pattern: re.Pattern[bytes], size: int) -> bool:
        """Go to where a match of `size` bytes begins. Where there is none, go to the end of the stream and return
        False."""
        while not (match := pattern.search(self.data, self.position)):
            self.position = max(self.position, len(self.data) - size + 1)
            if not self.more():
                return False
        self.position = match.start()
        return True

    def take(self, end: int) -> bytes:
        """Return the bytes from the position up to `end`, and go there."""
        piece = self.data[self.position : end]
        self.position = max(end, self.position)
        return piece

    def element(self, begin: bytes, tag: re.Pattern[bytes]) -> Iterator[bytes]:
        """From the opening tag, at which the window stands, to the closing one, or up to the next opening one."""
        yield self.take(self.position + len(begin))
        while not (match := tag.search(self.data, self.position)):
            if piece := self.take(len(self.data) - len(begin)):
                yield piece
            if not self.more():
                return
        yield self.take(match.start() if match[0] == begin else match.end())

    def until_tag(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, and what follows up to a "<"."""
        yield self.take(self.position + size)
        while (end := self.data.find(b"<", self.position)) < 0:
            yield self.take(len(self.data))
            if not self.more():
                return
        yield self.take(end)

    def check_end(self, root: str, where: str) -> None:
        if not self.tail.rstrip().endswith(f"</{root}>".encode()):
            raise InputError(f"{where}: not a whole <{root}> (it ends before its end); fetch it again")
