"""HTML pages to text: one document per page, the main content without navigation, with the page's <title>.

Where a page marks its content (<main>, <article>, MediaWiki's and Sphinx's containers), that element's text is taken
without what is known to be navigation; elsewhere resiliparse (Bevendorff et al., ECIR 2018) guesses the main content,
and when it finds none the whole page's text is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import DOMNode, HTMLTree

from llm.text.archive import Archive
from llm.text.decode import decode
from llm.text.documents import Document, Report

INCLUDE = ["**/*.html", "**/*.htm", "**/*.xhtml", "**/*.html.gz"]
CONTENT = ["main", "[role=main]", "#mw-content-text", "article", "div.body"]
NAVIGATION = [
    "nav",
    "header",
    "footer",
    "aside",
    "script",
    "style",
    "noscript",
    "form",
    "[role=navigation]",
    "[hidden]",
    ".toc",
    "#toc",
    ".navbar",
    ".t-navbar",
    ".nv",
    ".navbox",
    ".navigation",
    ".related",
    ".sphinxsidebar",
    ".sidebar",
    ".breadcrumb",
    ".breadcrumbs",
    ".headerlink",
    ".editsection",
    ".mw-editsection",
    ".noprint",
    ".catlinks",
    ".printfooter",
    ".t-page-template",
]
OPTIONS = {"links": False, "alt_texts": False, "form_fields": False, "noscript": False, "preserve_formatting": True}


EXTRACTORS = ("fast", "precise")


@dataclass(frozen=True)
class Page:
    """What a page says: its title (<title>, else its first heading; None without either) and its text ("" if none)."""

    title: str | None
    text: str


def documents(archive: Archive, names: list[str], report: Report, *, extractor: str = "fast") -> Iterator[Document]:
    """One document per page."""
    for name in names:
        page = extract(decode(archive.read(name), report, html=True), extractor)
        yield Document(page.text, page.title, name)


def extract(markup: str, extractor: str) -> Page:
    """The main content of a page by one of EXTRACTORS. Any markup gives a page; ValueError for another extractor."""
    if extractor not in EXTRACTORS:
        raise ValueError(f"extractor '{extractor}' is unknown; use one of {', '.join(EXTRACTORS)}")
    if extractor == "precise" and (text := precise(markup)):
        return Page(HTMLTree.parse(markup).title or None, text)
    tree = HTMLTree.parse(markup)
    heading, title, text = first_heading(tree), tree.title, main_text(tree)
    if (
        heading and text.strip() and heading not in map(str.strip, text[:500].split("\n"))
    ):  # a page's content is often marked without it
        text = f"{heading}\n\n{text}"
    return Page(title or heading or None, text)


def precise(markup: str) -> str:
    """The main content as trafilatura (Barbaresi 2021) finds it, or "" where it finds none."""
    return trafilatura.extract(markup, include_comments=False, include_tables=True, deduplicate=False) or ""


def first_heading(tree: HTMLTree) -> str:
    found = tree.body.query_selector("h1") if tree.body is not None else None
    return " ".join(found.text.split()) if found is not None else ""


def main_text(tree: HTMLTree) -> str:
    """The page's main content as text."""
    root = content(tree)
    if root is not None:
        for selector in NAVIGATION:
            for node in root.query_selector_all(selector):
                node.decompose()
        text = extract_plain_text(root.html, main_content=False, **OPTIONS)
        if text.strip():
            return text
    text = extract_plain_text(tree, main_content=True, **OPTIONS)
    return text if text.strip() else extract_plain_text(tree, main_content=False, **OPTIONS)


def content(tree: HTMLTree) -> DOMNode | None:
    """The one element that the page itself marks as its content; several of a kind mark none."""
    if tree.body is None:
        return None
    for selector in CONTENT:
        found = tree.body.query_selector_all(selector)
        if len(found) == 1:
            return found[0]
    return None
