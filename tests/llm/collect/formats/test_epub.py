"""EPUB books: reading order, no legal pages, hostile and damaged books."""

import gzip
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from llm.collect.decompress import LIMITS
from llm.collect.extract import collect
from llm.collect.formats.html_text import whole_text
from llm.errors import InputError
from tests.llm.collect.read_shards import read_documents
from tests.llm.collect.test_extract import RECIPE

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
OPF = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>A Tale</dc:title></metadata><manifest>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="p" href="p.png" media-type="image/png"/></manifest>
<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/><itemref idref="p"/></spine></package>"""
CHAPTER = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{}</body></html>'
BOOK = {
    "mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OEBPS/book.opf": OPF,
    "OEBPS/nav.xhtml": CHAPTER.format("<nav>Contents</nav>"),
    "OEBPS/text/one.xhtml": CHAPTER.format(
        '<section id="pg-header">Project Gutenberg</section><h1>One</h1><p>It began &amp; was so.</p>'
    ),
    "OEBPS/text/two b.xhtml": CHAPTER.format("<h1>Two</h1><p>It ended.</p>"),
}  # fmt: skip


def book(**changes: str | None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (BOOK | changes).items():
            if text is not None:
                archive.writestr(name, text)
    return buffer.getvalue()


def collected(archive: Path, tmp_path: Path, **changes) -> tuple[dict, list[dict]]:
    out = tmp_path / "raw"
    out.mkdir(exist_ok=True)
    metrics = collect(archive, out, replace(RECIPE, format="epub"), **changes)
    return metrics, [row for frame in read_documents(out) for row in frame.to_dicts()]


def test_a_book(tmp_path: Path) -> None:
    (tmp_path / "tale.epub").write_bytes(book())
    _, (document,) = collected(tmp_path / "tale.epub", tmp_path)
    assert (document["title"], document["url"]) == ("A Tale", "pypi:tales==1/OEBPS/book.opf")
    assert document["text"] == "One\n\nIt began & was so.\n\nTwo\n\nIt ended."


def test_a_shelf_with_a_damaged_an_escaping_and_an_encrypted_book(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    cipher = '<e xmlns="x"><CipherReference URI="OEBPS/text/one.xhtml"/></e>'
    (shelf / "a.epub").write_bytes(book())
    (shelf / "b.epub").write_bytes(book()[:-200])
    (shelf / "c.epub").write_bytes(book(**{"../evil.xhtml": "x"}))
    (shelf / "d.epub").write_bytes(book(**{"META-INF/encryption.xml": cipher}))
    (shelf / "e.epub").write_bytes(book(**{"OEBPS/text/one.xhtml": None}))
    (shelf / "f.epub").write_bytes(book(**{"META-INF/container.xml": "<nothing"}))
    metrics, documents = collected(shelf, tmp_path)
    assert [document["url"] for document in documents] == [
        "pypi:tales==1/a.epub/OEBPS/book.opf",
        "pypi:tales==1/e.epub/OEBPS/book.opf",
    ]
    assert metrics["skipped"] == {"archive refused": 2, "encrypted": 1, "missing chapter": 1, "no book": 1}


def test_what_is_broken_within_a_book_is_counted(tmp_path: Path) -> None:
    """A chapter that is not there took the others with it, and of a shelf of unpacked books all."""
    (tmp_path / "less.epub").write_bytes(book(**{"OEBPS/book.opf": OPF.replace("text/one.xhtml", "text/none.xhtml")}))
    metrics, (document,) = collected(tmp_path / "less.epub", tmp_path)
    assert document["text"] == "Two\n\nIt ended."
    assert metrics["skipped"] == {"missing chapter": 1}
    for top, changes in {"a": {"OEBPS/book.opf": "<package>"}, "b": {}}.items():
        with zipfile.ZipFile(io.BytesIO(book(**changes))) as unpacked:
            unpacked.extractall(tmp_path / "shelf" / top)
    metrics, (document,) = collected(tmp_path / "shelf", tmp_path)
    assert document["url"] == "pypi:tales==1/b/OEBPS/book.opf"
    assert metrics["skipped"] == {"broken book": 1, "empty": 1}


def test_bombs(tmp_path: Path) -> None:
    (tmp_path / "bomb.epub").write_bytes(book(**{"OEBPS/text/one.xhtml": "0" * 30_000_000}))
    with pytest.raises(InputError, match="decompression bomb"):
        collected(tmp_path / "bomb.epub", tmp_path, limits=replace(LIMITS, ratio_from=1 << 20))
    laughs = '<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + OPF.replace("A Tale", "&b;")
    (tmp_path / "laughs.epub").write_bytes(book(**{"OEBPS/book.opf": laughs}))
    assert "haha" not in str(collected(tmp_path / "laughs.epub", tmp_path)[1])
    metrics, _ = collected(tmp_path / "laughs.epub", tmp_path, limits=replace(LIMITS, member=1100))
    assert metrics["documents"] == 1


def test_archives_within_an_archive_as_arxiv_packs_papers(tmp_path: Path) -> None:
    papers = tmp_path / "2401"
    papers.mkdir()
    (papers / "2401.00001.gz").write_bytes(gzip.compress(b"\\begin{document}Alone $x$.\\end{document}"))
    (papers / "2401.00002.gz").write_bytes(gzip.compress(b"\\begin{document}Cut")[:-4])
    (papers / "2401.00003.pdf").write_bytes(b"%PDF")
    out = tmp_path / "raw"
    out.mkdir()
    metrics = collect(papers, out, replace(RECIPE, format="latex", archives=["**/*.gz"]))
    (frame,) = read_documents(out)
    assert frame["text"].to_list() == ["Alone $x$."]
    assert frame["url"][0] == "pypi:tales==1/2401.00001.gz/2401.00001"
    assert metrics["skipped"] == {"archive refused": 1}


@pytest.mark.parametrize("lists", ["<ul><li>a" * 5000, "<ul></ul>" * 5000 + "<ul><li>a</ul>" * 5000])
def test_lists_within_lists_make_no_text_of_the_square_of_their_number(lists: str) -> None:
    deep = whole_text(lists)
    assert deep.count("a") == 5000 and len(deep) < 50_000


def test_many_lists_keep_their_lines() -> None:
    assert whole_text("<ul><li>a<ul><li>b</ul></ul>" * 100).count("\n    • b") == 100
