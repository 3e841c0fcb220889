"""Bytes to text: UTF-8 (or UTF-16 with its mark), else what detection says, else Latin-1. Never loses a document to a
charset; which one was used is counted in the report."""

import codecs
from collections.abc import Iterator

from resiliparse.parse.encoding import detect_encoding

from llm.collect.archive import Archive, TooLargeError
from llm.collect.documents import Report

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def texts(archive: Archive, names: list[str], report: Report, *, html: bool = False) -> Iterator[tuple[str, str]]:
    """(name, text) of every member that is not too large to be read whole; those that are, are counted."""
    for name in names:
        try:
            data = archive.read(name)
        except TooLargeError:
            report.skipped["too large"] += 1
            continue
        yield name, decode(data, report, html=html)


def decode(data: bytes, report: Report, *, html: bool = False, charset: str | None = None) -> str:
    """The text of `data`. `html`: a charset that the page declares counts too. `charset`: what its server says."""
    marked = [name for mark, name in MARKS.items() if data.startswith(mark)]
    for name in [*marked, "utf-8", *([charset.lower()] if charset else []), detected(data, html=html)]:
        try:
            text = data.decode(name)
        except (ValueError, LookupError):
            continue
        report.decoded[name] += 1
        return text
    report.decoded["latin-1"] += 1
    return data.decode("latin-1")


def detected(data: bytes, *, html: bool) -> str:
    """The name of the most likely charset of the first 64 KiB."""
    return detect_encoding(data[: 1 << 16], html5_compatible=True, from_html_meta=html) or "latin-1"
