"""A text as the content of a file of each format, and the documents that are found in it."""

import gzip
import io
import json
import re
from collections.abc import Callable
from html import escape

from llm.collect.archive import Archive
from llm.collect.decompress import LIMITS
from llm.collect.documents import Document, Report
from llm.collect.formats import dictd, epub, latex, mediawiki, plain_text, rst, source_code, stackexchange, tabular
from tests.llm.collect.formats.test_epub import BOOK, CHAPTER

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def in_memory(files: dict[str, bytes | str]) -> Archive:
    data = {name: text.encode("utf-8", "replace") if isinstance(text, str) else text for name, text in files.items()}
    return Archive("it", sorted(data), [], lambda name: io.BytesIO(data[name]), LIMITS)


def member(module, name: str) -> Callable[[str | bytes, Report], list[Document]]:
    """How a file of that name is read."""
    return lambda text, report: list(module.documents(in_memory({name: text}), [name], report))


def as_article(text: str, report: Report) -> list[Document]:
    page = f"<page><title>A</title><ns>0</ns><revision><text>{escape(NO_XML.sub('', text))}</text></revision></page>"
    return member(mediawiki, "a.xml")(f"<mediawiki>{page}</mediawiki>", report)


def as_post(text: str, report: Report) -> list[Document]:
    body = escape(NO_XML.sub("", text))
    return member(stackexchange, "Posts.xml")(f'<posts><row Id="1" PostTypeId="1" Body="{body}"/></posts>', report)


def as_book(text: str, report: Report) -> list[Document]:
    chapter = CHAPTER.replace("{}", text)
    opened = in_memory(BOOK | {"OEBPS/text/one.xhtml": chapter})
    return list(epub.documents(opened, ["META-INF/container.xml"], report))


def as_entry(text: str, report: Report) -> list[Document]:
    """A dictionary's only entry."""
    data, digits = text.encode("utf-8", "replace"), ""
    size = len(data)
    while size or not digits:
        digits, size = dictd.DIGITS[size % 64] + digits, size // 64
    opened = in_memory({"a.index": f"word\tA\t{digits}\n", "a.dict.dz": gzip.compress(data, 1)})
    return list(dictd.documents(opened, ["a.index"], report))


def as_index(text: str, report: Report) -> list[Document]:
    opened = in_memory({"a.index": text, "a.dict": b"a definition " * 9})
    return list(dictd.documents(opened, ["a.index"], report))


def as_row(text: str, report: Report) -> list[Document]:
    line = json.dumps({"text": text})
    return list(tabular.jsonl(in_memory({"a.jsonl": line}), ["a.jsonl"], report, column="text"))


def as_lines(text: str, report: Report) -> list[Document]:
    return list(tabular.jsonl(in_memory({"a.jsonl": text}), ["a.jsonl"], report, column="text"))


# name -> how a text of that format becomes documents
FORMATS: dict[str, Callable[[str, Report], list[Document]]] = {
    "latex": member(latex, "a.tex"),
    "rst": member(rst, "a.rst"),
    "text": member(plain_text, "a.txt"),
    "code": member(source_code, "a.py"),
    "mediawiki": as_article,
    "mediawiki, raw": member(mediawiki, "a.xml"),
    "stackexchange": as_post,
    "stackexchange, raw": member(stackexchange, "Posts.xml"),
    "epub": as_book,
    "dict": as_entry,
    "dict, index": as_index,
    "jsonl": as_row,
    "jsonl, raw": as_lines,
}
