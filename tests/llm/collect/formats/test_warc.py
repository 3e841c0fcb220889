"""Web archives: pages with their addresses, and every kind of damage as a counted skip or one clear line."""

import bz2
import gzip
import io
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.collect.archive import Archive
from llm.collect.decompress import LIMITS
from llm.collect.documents import Document, Report
from llm.collect.formats import warc
from llm.errors import InputError

PAGE = (
    "<html><head><title>Page {0}</title></head><body><main><p>Größe number {0} of the pages.</p></main></body></html>"
)


def record(number: int, body: bytes | None = None, *, more: str = "", kind: str = "text/html; charset=utf-8",
           status: int = 200, type: str = "response", wrong: int = 0) -> bytes:  # fmt: skip
    body = PAGE.format(number).encode() if body is None else body
    answer = f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\n{more}\r\n".encode() + body
    return (
        f"WARC/1.0\r\nWARC-Type: {type}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\n"
        f"WARC-Target-URI: http://example.org/{number}\r\nContent-Type: application/http; msgtype={type}\r\n"
        f"Content-Length: {len(answer) + wrong}\r\n\r\n"
    ).encode() + answer + b"\r\n\r\n"  # fmt: skip


def read(data: bytes) -> tuple[list[Document], Report]:
    report = Report()
    archive = Archive("it", ["a.warc"], [], lambda name: io.BytesIO(data), LIMITS)
    return list(warc.documents(archive, archive.names, report, extractor="fast")), report


def urls(data: bytes) -> tuple[list[str], dict[str, int]]:
    documents, report = read(data)
    return [document.url.rpartition("/")[2] for document in documents], dict(report.skipped)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["plain", "gz", "bz2"])
def test_pages(pack) -> None:
    documents, report = read(b"".join(pack(record(number)) for number in range(3)))
    assert [document.title for document in documents] == ["Page 0", "Page 1", "Page 2"]
    assert [document.url for document in documents] == [f"http://example.org/{number}" for number in range(3)]
    assert documents[1].text == "Größe number 1 of the pages."
    assert not report.skipped


def test_what_is_no_page_is_counted() -> None:
    info = record(9, b"software: x", type="warcinfo")
    data = info + record(0, status=404) + record(1, kind="image/png") + record(2, type="request") + record(3)
    assert urls(data) == (["3"], {"no page": 1, "neither HTML nor plain text": 1, "no page record": 2})


def test_charsets_and_encodings() -> None:
    text = "Zażółć gęślą jaźń. " * 20
    latin = text.encode("iso-8859-2")
    packed = {"gzip": gzip.compress(text.encode()), "deflate": zlib.compress(text.encode()), "identity": text.encode()}
    data = b"".join(
        record(number, body, kind="text/plain", more=f"Content-Encoding: {name}\r\n")
        for number, (name, body) in enumerate(packed.items())
    )
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(text.encode()), text.encode())
    data += record(3, latin, kind="text/plain; charset=iso-8859-2")
    data += record(4, chunked, kind="text/plain", more="Transfer-Encoding: chunked\r\n")
    data += record(5, text.encode(), kind="text/plain", more="Transfer-Encoding: chunked\r\n")  # stored without
    data += record(6, text.encode(), kind="text/plain", more="Content-Encoding: gzip\r\n")
    documents, report = read(data)
    assert [document.text for document in documents] == [text] * 7
    assert not report.skipped


def deflated(data: bytes) -> bytes:
    """Deflate without zlib's header."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("deflate", deflated),
        ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
        ("deflate,gzip", lambda data: gzip.compress(deflated(data))),
        ("GZIP, gzip", lambda data: gzip.compress(gzip.compress(data))),
        ("deflate", bytes),
    ],
)
def test_encodings_without_a_header_and_around_each_other(encoding: str, pack) -> None:
    text = "Zażółć gęślą jaźń. " * 20
    data = record(0, pack(text.encode()), kind="text/plain", more=f"Content-Encoding: {encoding}\r\n")
    documents, report = read(data)
    assert [document.text for document in documents] == [text]
    assert not report.skipped


@pytest.mark.parametrize("kind", ["text/html", "text/plain; charset=latin-1"])
def test_packed_bytes_are_no_text(kind: str) -> None:
    """Whatever they are packed in: compress, a dictionary of one's own, deflate that is cut off."""
    noise = random.Random(0).randbytes(5_000)
    cut = deflated(noise.hex().encode())[:-99]
    data = record(0, noise, kind=kind, more="Content-Encoding: compress\r\n")
    data += record(1, noise, kind=kind) + record(2, cut, kind=kind, more="Content-Encoding: deflate\r\n")
    assert urls(data + record(3)) == (["3"], {"binary": 3})


def with_lf(data: bytes) -> bytes:
    """The record with the lines of its HTTP header ended by LF alone."""
    begin, end = data.index(b"HTTP/1.1"), data.index(b"\r\n\r\n", data.index(b"HTTP/1.1"))
    answer = data[begin:end].replace(b"\r\n", b"\n") + b"\n\n" + data[end + 4 : -4]
    length = f"Content-Length: {len(answer)}\r\n\r\n".encode()
    return data[: data.index(b"Content-Length")] + length + answer + b"\r\n\r\n"


def test_http_headers_whose_lines_end_in_lf_alone() -> None:
    body = b"<p>a\n\nb\r\n\r\nc"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    data = with_lf(record(0)) + record(1) + with_lf(record(2, chunked, more="Transfer-Encoding: chunked\r\n"))
    documents, report = read(data + with_lf(record(3, gzip.compress(body), more="Content-Encoding: gzip\r\n")))
    assert [document.text for document in documents] == [
        "Größe number 0 of the pages.", "Größe number 1 of the pages.", "a b c", "a b c"
    ]  # fmt: skip
    assert not report.skipped


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "utf-7", "rot13", "idna", "punycode"])
def test_a_server_names_charsets_of_the_web_alone(charset: str) -> None:
    body = "<p>Zażółć gęślą jaźń +AGE- \\u0041".encode("iso-8859-2")
    documents, report = read(record(0, body, kind=f"text/html; charset={charset}"))
    assert documents[0].text.endswith("+AGE- \\u0041")
    assert charset not in report.decoded


def test_conversion_records_of_wet_files() -> None:
    data = (
        b"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://example.org/x\r\n"
        b"WARC-Record-ID: <urn:uuid:1>\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nHello\r\n\r\n"
    )
    assert [(document.text, document.url) for document in read(data)[0]] == [("Hello", "http://example.org/x")]


@pytest.mark.parametrize("wrong", [-5, -60, 5, 50, 400, 2_000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_wrong_length_costs_that_record_alone(wrong: int, pack) -> None:
    data = b"".join(pack(record(number, wrong=wrong if number == 1 else 0)) for number in range(12))
    found, skipped = urls(data)
    assert found == [str(number) for number in range(12) if number != 1]
    assert skipped == {"wrong length": 1}


def test_a_broken_header_costs_that_record_alone() -> None:
    broken = record(1).replace(b"Content-Length", b"Content-Lenth", 1)
    assert urls(record(0) + broken + record(2)) == (["0", "2"], {"broken record": 1})
    assert urls(record(0) + b"noise\nnoise\n" + record(2)) == (["0", "2"], {"broken record": 1})


def test_a_file_that_ends_too_early_is_an_error() -> None:
    for data in (record(0) + record(1)[:-40], gzip.compress(record(0) + record(1))[:-20]):
        with pytest.raises(InputError, match="truncated"):
            read(data)
    with pytest.raises(InputError, match="no WARC record"):
        read(b"<html>not an archive</html>")
    huge = record(1).replace(b"Content-Length: ", b"Content-Length: 9999999", 1)
    with pytest.raises(InputError, match="truncated WARC: a record of"):
        read(record(0) + huge + record(2))


def test_large_records_and_bombs_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "LARGEST", 1 << 20)
    bomb = record(1, gzip.compress(bytes(1 << 24)), more="Content-Encoding: gzip\r\n")
    large = record(2, b"x" * (1 << 21))
    cut = record(3, gzip.compress(random.Random(0).randbytes(999))[:-30], more="Content-Encoding: gzip\r\n")
    found, skipped = urls(record(0) + bomb + large + cut + record(4))
    assert (found, skipped) == (["0", "4"], {"too large": 2, "broken HTTP answer": 1})


@settings(max_examples=80, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.floats(0, 1), st.booleans())
def test_noise_never_breaks_it_and_other_records_survive(noise: bytes, at: float, packed: bool) -> None:
    data = bytearray(b"".join(record(number) for number in range(5)))
    begin = int(at * len(data))
    data[begin : begin + len(noise)] = noise
    try:
        documents, report = read(gzip.compress(bytes(data)) if packed else bytes(data))
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert len(documents) + sum(report.skipped.values()) >= 3
    assert len(documents) >= 2


def chunked(body: bytes, extension: str = "") -> bytes:
    pieces = [body[begin : begin + 7] for begin in range(0, len(body), 7)]
    return b"".join(f"{len(piece):x}{extension}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("extension", ["", ";a=b", " ; a"])
@pytest.mark.parametrize("lost", [0, 5, 40])
def test_sizes_of_chunks_are_no_text(extension: str, lost: int) -> None:
    """They stayed where a chunk has an extension, or where the crawler cut the answer off."""
    body = chunked(PAGE.format(1).encode(), extension)
    documents, report = read(record(1, body[: len(body) - lost], more="Transfer-Encoding: chunked\r\n"))
    assert [document.text for document in documents] == ["Größe number 1 of the pages."]
    assert not report.skipped


def test_all_members_of_a_gzip_body_are_read() -> None:
    """Browsers do; here only the first was, and the rest of the page was lost in silence."""
    half = len(PAGE) // 2
    page = PAGE.format(1).encode()
    packed = gzip.compress(page[:half]) + gzip.compress(b"") + gzip.compress(page[half:])
    more = "Content-Encoding: gzip\r\n"
    documents, report = read(record(1, packed, more=more) + record(2, packed + b"junk", more=more))
    assert [document.text for document in documents] == ["Größe number 1 of the pages."] * 2
    many = gzip.compress(b"") * 3_000 + gzip.compress(page)
    assert urls(record(1, many, more=more) + record(2, packed[:-3], more=more)) == (["1"], {"broken HTTP answer": 1})
    assert not report.skipped
