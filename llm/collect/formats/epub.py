"""Reads electronic books (EPUB 2 and 3): the chapters in the order of the spine, as text, split like plain text.

A book is a zip; llm/collect/extract.py opens those that lie in another archive. Chapters give all their text, without a
guess at their main content; navigation pages and Project Gutenberg's legal pages go. Books with encrypted chapters are
counted and skipped. Pictures are not read, links not followed.
"""

import posixpath
import urllib.parse
from collections.abc import Iterator

from lxml import etree

from llm.collect.archive import Archive, TooLargeError
from llm.collect.decode import decode
from llm.collect.documents import Document, Report
from llm.collect.formats.html_text import whole_text
from llm.collect.formats.plain_text import parts, without_gutenberg

INCLUDE = ["**/META-INF/container.xml"]
CHAPTER = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
LEGAL = ["script", "style", "nav", ".pg-boilerplate", "#pg-header", "#pg-footer", ".pgheader"]


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per book, or several of a long one."""
    for name in names:
        top = posixpath.dirname(posixpath.dirname(name))
        package = package_of(archive, name, top)
        if package is None:
            report.skipped["no book"] += 1
            continue
        if encrypted(archive, top):
            report.skipped["encrypted"] += 1
            continue
        title, chapters = spine(archive, package, report)
        texts = []
        left = archive.limits.member
        for chapter in chapters:
            text = chapter_text(archive, chapter, report)
            left -= len(text)
            if left < 0:
                break
            texts += [text] if text else []
        if left < 0:
            report.skipped["too large"] += 1
            continue
        yield from parts(without_gutenberg("\n\n".join(texts)), package, title)


def package_of(archive: Archive, container: str, top: str) -> str | None:
    """Return the name of the book's OPF file: the first that its container names."""
    root = xml(archive, container)
    found = root.find(".//{*}rootfile") if root is not None else None
    name = posixpath.join(top, found.get("full-path", "")) if found is not None else ""
    return name if name in archive.members else None


def encrypted(archive: Archive, top: str) -> bool:
    """Is more than the fonts encrypted?"""
    name = posixpath.join(top, "META-INF/encryption.xml")
    root = xml(archive, name) if name in archive.members else None
    uris = [node.get("URI", "") for node in root.iterfind(".//{*}CipherReference")] if root is not None else []
    return any(uri.rpartition(".")[2].lower() in ("xhtml", "html", "htm", "xml", "opf") for uri in uris)


def spine(archive: Archive, package: str, report: Report) -> tuple[str | None, list[str]]:
    """Return the book's title and the names of its chapters in reading order. One that is not there is counted, and so
    is a book whose package is no XML: it has none."""
    root = xml(archive, package)
    if root is None:
        report.broken("broken book", f"{archive.label}: {package} is not readable XML; the book is damaged")
        return None, []
    heading = root.find(".//{*}metadata/{*}title")
    title = " ".join((heading.text or "").split()) if heading is not None else None
    items = {node.get("id"): node for node in root.iterfind(".//{*}manifest/{*}item")}
    found = []
    for node in root.iterfind(".//{*}spine/{*}itemref"):
        item = items.get(node.get("idref"))
        if item is None or item.get("media-type") not in CHAPTER or "nav" in item.get("properties", "").split():
            continue
        href = urllib.parse.unquote(item.get("href", "").partition("#")[0])
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package), href))
        if name not in archive.members:
            report.broken("missing chapter", f"{archive.label}: {package} names {name}, which is not in the book")
            continue
        found.append(name)
    return title or None, list(dict.fromkeys(found))


def chapter_text(archive: Archive, name: str, report: Report) -> str:
    """Return all text of one chapter."""
    try:
        return whole_text(decode(archive.read(name), report, html=True), LEGAL)
    except TooLargeError:
        report.skipped["too large"] += 1
        return ""


def xml(archive: Archive, name: str) -> etree._Element | None:
    """Return a small XML file's root, read without entities or network; None if it is none."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False)
    try:
        return etree.fromstring(archive.read(name), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
