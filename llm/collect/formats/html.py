"""HTML pages to text: one document per page, its main content without navigation and other boilerplate.

`fast` is one pass of compiled code over the page (kernels/html.py, kernels/content.py) with the conventions of
llm/collect/formats/html_boilerplate.py; `precise` is trafilatura (Barbaresi 2021). Code and tables stay readable: <pre>
verbatim, rows of tables as lines. Of a page that calls itself an article the headline is its title and left out of the
text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import trafilatura

from kernels.boxes import add_cues_of_cookies, add_cues_of_labels
from kernels.compose import compose
from kernels.content import choose
from kernels.html import CALLED, TITLE_END, TITLE_START, scan
from kernels.html_tree import END, START
from kernels.markup import AN_ARTICLE, SHARED
from kernels.slugs import add_cues_of_ids
from llm.collect.archive import Archive
from llm.collect.decode import texts
from llm.collect.documents import Document, Report
from llm.collect.formats.character_references import unescaped
from llm.collect.formats.html_boilerplate import TABLE

INCLUDE = ["**/*.html", "**/*.htm", "**/*.xhtml", "**/*.html.gz"]
EXTRACTORS = ("fast", "precise")


@dataclass(frozen=True)
class Page:
    """What a page says: its title (<title>, else its first heading; None without either) and its text ("" if none)."""

    title: str | None
    text: str


def documents(archive: Archive, names: list[str], report: Report, *, extractor: str = "fast") -> Iterator[Document]:
    """One document per page."""
    for name, markup in texts(archive, names, report, html=True):
        page = extract(markup, extractor)
        yield Document(page.text, page.title, name)


def extract(markup: str, extractor: str) -> Page:
    """The main content of a page by one of EXTRACTORS. Any markup gives a page; ValueError for another extractor.
    Where `precise` finds nothing, `fast` is asked."""
    if extractor not in EXTRACTORS:
        raise ValueError(f"extractor '{extractor}' is unknown; use one of {', '.join(EXTRACTORS)}")
    data = np.frombuffer(markup.encode("utf-8", "replace"), dtype=np.uint8)
    nodes, blocks, text, page = scan(data, TABLE)
    is_article = bool(page[CALLED] == AN_ARTICLE)
    add_cues_of_ids(nodes, blocks, text, data, is_article)
    add_cues_of_labels(nodes, blocks, text)
    if page[CALLED]:
        add_cues_of_cookies(nodes, blocks, text)
    kept, h1 = choose(nodes, blocks, text, is_article, bool(page[CALLED] == SHARED))
    title = line(data[page[TITLE_START] : page[TITLE_END]])
    heading = line(text[blocks[h1, START] : blocks[h1, END]]) if h1 >= 0 else ""
    content = precise(markup) if extractor == "precise" else ""
    if not content:
        content = string(compose(nodes, blocks, text, kept))
        if heading and content and not is_article and heading not in content[:500].split("\n"):
            content = f"{heading}\n\n{content}"  # what is marked as content often begins below it
    return Page(title or heading or None, content)


def precise(markup: str) -> str:
    """The main content as trafilatura finds it, or "" where it finds none."""
    return trafilatura.extract(markup, include_comments=False, favor_precision=True) or ""


def string(data: np.ndarray) -> str:
    """UTF-8 with character references as a string."""
    return unescaped(data.tobytes().decode("utf-8", "replace"))


def line(data: np.ndarray) -> str:
    """The same on one line."""
    return re.sub(r"\s+", " ", string(data)).strip()
