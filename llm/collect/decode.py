"""Turns bytes into text: UTF-8 (or UTF-16), else what a server, the page itself or detection says, else Latin-1.

UTF-16 is known by its mark or by its zeros. No document is lost to a charset; which one was used is counted in the
report. Names of charsets are those of the WHATWG's standard, as in browsers: a server cannot name any other codec that
Python has.
"""

import codecs
import re
from collections.abc import Iterator

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from llm.collect.archive import Archive, TooLargeError
from llm.collect.documents import Report

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",  # the mark of UTF-32 begins like one of these
}  # fmt: skip
XML = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
DECLARED = 1024  # bytes in which a page declares its charset
MOST_ZEROS = 0.4  # of the upper bytes: markup is ASCII whatever it holds
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
SHIFTED = "iso2022_jp"  # its bytes are ASCII too


def texts(archive: Archive, names: list[str], report: Report, *, html: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every member that is small enough to be read whole; the others are counted."""
    for name in names:
        try:
            data = archive.read(name)
        except TooLargeError:
            report.skipped["too large"] += 1
            continue
        yield name, decode(data, report, html=html)


def decode(data: bytes, report: Report, *, html: bool = False, charset: str | None = None) -> str:
    """Return the text of `data`. `html`: a charset that the page declares counts too. `charset`: what its server
    says."""
    for name in candidates(data, html, charset):
        try:
            text = data.decode(name)
        except (ValueError, LookupError):
            continue
        report.decoded[name] += 1
        return text
    report.decoded["latin-1"] += 1
    return data.decode("latin-1")


def candidates(data: bytes, html: bool, charset: str | None) -> Iterator[str]:
    """Yield the charsets that `data` may be of, the surest first."""
    yield from (name for mark, name in MARKS.items() if data.startswith(mark))
    served = map_encoding_to_html5(charset.strip(" \"'"), False) if charset else None
    if b"\x1b$" in data and SHIFTED in (served, detected(data, html=html)):
        yield SHIFTED
    yield from utf_16_by_zeros(data)
    yield "utf-8"
    if served:
        yield served
    if html and (found := XML.match(data)) and b"charset" not in data[:DECLARED].lower():
        yield map_encoding_to_html5(found[1].decode("ascii", "ignore"), False) or "utf-8"
    yield detected(data, html=html)


def utf_16_by_zeros(data: bytes) -> Iterator[str]:
    """Return the kind of UTF-16 that bytes without a mark are, by where their zeros stand: none, or one name."""
    start = data[:1024]
    for name, upper in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if upper.count(0) > MOST_ZEROS * len(upper) and not CONTROL.search(start.decode(name, "ignore")):
            yield name


def detected(data: bytes, *, html: bool) -> str:
    """Return the name of the most likely charset of the first 64 KiB."""
    return detect_encoding(data[: 1 << 16], html5_compatible=True, from_html_meta=html) or "latin-1"
