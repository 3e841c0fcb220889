"""Web archives (WARC, plain or packed, ISO 28500) to one document per page that a server answered with status 200.

Records are cut out here, because fastwarc gives up at the first that is damaged; fastwarc parses each. A record with a
wrong length or a broken header is skipped, counted, and the next one looked for; a file that ends within a record, or
whose packing is damaged, is an InputError. At most one record is in memory. Conversions to plain text (WET) are taken
too; requests, redirects, revisits and what is neither HTML nor plain text are counted and left out. Fetches nothing.
"""

import io
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from fastwarc.stream_io import BrotliReader, ZstdReader
from fastwarc.warc import WarcRecord

from llm.collect.archive import Archive
from llm.collect.decode import decode
from llm.collect.decompress import Readable
from llm.collect.documents import Document, Report
from llm.collect.formats.html import Page, extract
from llm.errors import InputError

INCLUDE = ["**/*.warc", "**/*.warc.{gz,bz2,xz,zst}"]
LARGEST = 16 << 20  # bytes of a record, and of a page once it is decoded
HEADER = 1 << 16
CHUNK = 1 << 20
PIECE = 1 << 14
BEGIN = re.compile(rb"^WARC/[01]\.\d+\r?\n", re.MULTILINE)
HEADER_END = re.compile(rb"\r?\n(?:\r?\n|(WARC/[01]\.\d+\r?\n))")
BLANK = re.compile(rb"\r?\n\r?\n")
LINE_ENDS = re.compile(rb"[\r\n]*")
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r\n")  # RFC 9112, 7.1
LENGTH = re.compile(rb"^Content-Length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
HOLDING = re.compile(
    rb"^WARC-Type[ \t]*:[ \t]*(?:response|resource|conversion)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")
MOST_CONTROL = 0.03  # of a text's characters; of packed bytes every tenth is one
PAGES = ("text/html", "application/xhtml+xml", "text/plain")


def documents(archive: Archive, names: list[str], report: Report, *, extractor: str) -> Iterator[Document]:
    """Yield one document per page, in the order of the records. Its url is the page's own."""
    for name in names:
        with archive.open(name) as file:
            for number, record in enumerate(records(file, f"{archive.label}: {name}", report)):
                document = page(record, f"{name}#{number}", report, extractor)
                if document is not None:
                    yield document


def page(record: bytes, part: str, report: Report, extractor: str) -> Document | None:
    """Return the document of one whole record; None where there is none, and its reason is counted."""
    try:
        kind, charset, data, url = answer(record)
    except (OSError, EOFError, ValueError, zlib.error):
        report.skipped["broken HTTP answer"] += 1
        return None
    if kind not in PAGES:
        report.skipped["neither HTML nor plain text" if kind else "no page"] += 1
        return None
    if len(data) > LARGEST:
        report.skipped["too large"] += 1
        return None
    text = decode(data, report, html=kind != "text/plain", charset=charset)
    if is_binary(text):
        report.skipped["binary"] += 1
        return None
    found = Page(None, text) if kind == "text/plain" else extract(text, extractor)
    return Document(found.text, found.title, part, url=url.strip("<>") or None)


def answer(record: bytes) -> tuple[str, str | None, bytes, str]:
    """Return (media type, charset, decoded body, address) of a record. The type is '' if the server had no page to
    give."""
    record = with_crlf(record)
    parsed = WarcRecord.from_bytes(record)
    url = parsed.headers.get("WARC-Target-URI") or ""
    if not parsed.is_http:  # a resource, or a conversion into plain text (WET)
        kind = (parsed.headers.get("Content-Type") or "").partition(";")[0]
        return kind.strip().lower() or "?", None, parsed.reader.read(), url
    try:
        parsed.parse_http(auto_decode="transfer")
        body = parsed.reader.read()
    except OSError:  # chunks with extensions or cut off; or none, under the header that promises them
        parsed = WarcRecord.from_bytes(record)
        parsed.parse_http(auto_decode="none")
        body = unchunked(parsed.reader.read())
    headers = parsed.http_headers
    if headers is None or headers.status_code != 200:
        return "", None, b"", url
    encodings = [name.strip() for name in (headers.get("Content-Encoding") or "").lower().split(",")]
    for encoding in reversed(encodings):  # the last one was put around the others
        body = content(body, encoding)
    return (parsed.http_content_type or "?").lower(), parsed.http_charset, body, url


def unchunked(body: bytes) -> bytes:
    """Return a body without the lines that give its chunks' sizes, as far as there are any."""
    pieces: list[bytes] = []
    position = 0
    while size := CHUNK_SIZE.match(body, position):
        length = int(size[1], 16)
        if not length:
            return b"".join(pieces)
        pieces.append(body[size.end() : size.end() + length])
        position = size.end() + length
        position += 2 * (body[position : position + 2] == b"\r\n")
    return b"".join([*pieces, body[position:]])


def with_crlf(record: bytes) -> bytes:
    """Return the record with an HTTP header whose lines end as fastwarc wants it: some servers end them in LF alone."""
    begin = BLANK.search(record)
    end = BLANK.search(record, begin.end()) if begin else None
    if begin is None or end is None or not record.startswith(b"HTTP/", begin.end()):
        return record
    header = record[begin.end() : end.start()]
    if end[0] == b"\r\n\r\n" and header.count(b"\n") == header.count(b"\r\n"):
        return record
    answer = b"\r\n".join(line.rstrip(b"\r") for line in header.split(b"\n")) + b"\r\n\r\n" + record[end.end() :]
    length = f"Content-Length: {len(answer)}\r".encode()
    return LENGTH.sub(length, record[: begin.start()] + b"\r\n", count=1) + b"\r\n" + answer


def content(body: bytes, encoding: str) -> bytes:
    """The body without one Content-Encoding, at most one byte more than LARGEST. Crawlers often store it decoded and
    leave the header: what does not begin as its encoding does is taken as it is. EOFError if it is cut off."""
    if encoding in ("gzip", "x-gzip", "deflate") and (body[:2] == b"\x1f\x8b" or is_zlib(body[:2])):
        return inflated(body, zlib.MAX_WBITS | 32)  # zlib or gzip, whichever it is
    if encoding == "deflate" and body.lstrip()[:1] != b"<":  # without zlib's header, as some servers take it
        try:
            return inflated(body, -zlib.MAX_WBITS)
        except (zlib.error, EOFError):
            return body
    if encoding == "zstd" and body[:4] == b"\x28\xb5\x2f\xfd":
        return read(ZstdReader(io.BytesIO(body)))
    if encoding == "br" and body.lstrip()[:1] != b"<":
        return read(BrotliReader(io.BytesIO(body)))
    return body


def is_zlib(head: bytes) -> bool:
    """Are these two bytes a header of zlib's (RFC 1950)?"""
    return len(head) == 2 and head[0] & 15 == 8 and int.from_bytes(head, "big") % 31 == 0


def inflated(body: bytes, bits: int) -> bytes:
    """Return what was deflated, of gzip all members, at most one byte more than LARGEST."""
    data, rest = bytearray(), memoryview(body)
    while True:
        unpacker = zlib.decompressobj(bits)
        for begin in range(0, len(rest), PIECE):  # what follows a member is copied with it
            data += unpacker.decompress(rest[begin : begin + PIECE], LARGEST + 1 - len(data))
            if unpacker.eof or len(data) > LARGEST:
                break
        if len(data) > LARGEST:
            return bytes(data)
        if not unpacker.eof:
            raise EOFError
        rest = rest[min(begin + PIECE, len(rest)) - len(unpacker.unused_data) :]
        if rest[:2] != b"\x1f\x8b":  # the end, or what does not belong to it
            return bytes(data)


def is_binary(text: str) -> bool:
    """Is it what remains of packed bytes, whose packing no header names, rather than a text?"""
    start = text[:4096]
    return len(CONTROL.findall(start)) > MOST_CONTROL * len(start)


def read(reader: Readable) -> bytes:
    """Return all that a reader gives, at most about LARGEST bytes and a piece."""
    data = bytearray()
    while len(data) <= LARGEST and (piece := reader.read(1 << 16)):
        data += piece
    return bytes(data)


# ---- cutting a stream into records


def records(file: BinaryIO, label: str, report: Report) -> Iterator[bytes]:
    """Yield the whole records of a WARC file that may hold a page. Those of other types are counted and passed over."""
    window, found, others = Window(file), 0, 0
    while window.skip_blank_lines():
        header = window.header()
        length = LENGTH.search(header) if header else None
        if header is None or length is None:
            report.skipped["broken record"] += 1
            window.seek_record(1)
            continue
        found += 1
        size, keep = int(length[1]), HOLDING.search(header) is not None
        if size > LARGEST:
            report.skipped["too large"] += keep
            window.drop(len(header))
            if not window.pass_over(size):
                raise InputError(f"{label}: truncated WARC: a record of {size:,} bytes ends too early; fetch it again")
            window.fill(16)
            if not whole(window, 0):
                report.skipped["wrong length"] += 1
                window.seek_record()
            continue
        window.fill(len(header) + size + 4 + HEADER)
        end = len(header) + size
        if not whole(window, end):
            if len(window.data) < end and not BEGIN.search(window.data, len(header)):
                raise InputError(f"{label}: truncated WARC: its last record ends too early; fetch it again")
            report.skipped["wrong length"] += 1
            window.drop(len(header))
            window.seek_record()
            continue
        record = bytes(memoryview(window.data)[:end])
        window.drop(end)
        others += not keep
        if keep:
            yield record
    if not found:
        raise InputError(f"{label}: no WARC record in it; look at its format")
    report.skipped.update({"no page record": others} if others else {})


def whole(window: "Window", end: int) -> bool:
    """Is the record that ends at `end` followed by two line ends, another record, or the end of the file?"""
    rest = bytes(window.data[end : end + 16])
    return len(window.data) >= end and (
        not rest.strip(b"\r\n") or rest.startswith(b"\r\n\r\n") or rest.lstrip(b"\r\n").startswith(b"WARC/")
    )


class Window:
    """The bytes of a stream from the current position on, as far as they were looked at."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.data, self.ended = file, bytearray(), False

    def fill(self, size: int) -> bool:
        """Have at least `size` bytes. Returns False if the stream ends before."""
        while len(self.data) < size and not self.ended:
            chunk = self.file.read(max(CHUNK, size - len(self.data)))
            self.ended = not chunk
            self.data += chunk
        return len(self.data) >= size

    def drop(self, size: int) -> None:
        del self.data[:size]

    def skip_blank_lines(self) -> bool:
        """Go to the next byte that is no line end. Returns False if there is none."""
        while True:
            blank = LINE_ENDS.match(self.data)
            assert blank is not None
            self.drop(blank.end())
            if self.data:
                return True
            if not self.fill(1):
                return False

    def header(self) -> bytes | None:
        """Return the lines of a record's header with the blank one after it; None if none begins here. It ends before
        another begins, or each of many beginnings would be looked through to the end."""
        self.fill(HEADER)
        if not BEGIN.match(self.data):
            return None
        end = HEADER_END.search(self.data, 1, HEADER)
        return bytes(self.data[: end.end()]) if end and not end[1] else None

    def pass_over(self, size: int) -> bool:
        """Drop `size` bytes piece by piece. Returns False if the stream ends before."""
        while size:
            if not self.fill(1):
                return False
            step = min(size, len(self.data))
            self.drop(step)
            size -= step
        return True

    def seek_record(self, begin: int = 0) -> None:
        """Go to the next line from `begin` on that begins a record, or to the end."""
        while True:
            found = BEGIN.search(self.data, begin)
            begin = 0
            if found:
                self.drop(found.start())
                return
            self.drop(max(0, len(self.data) - 32))  # a beginning that is cut in two is seen with the next piece
            before = len(self.data)
            if not self.fill(before + 1):
                self.data.clear()
                return
