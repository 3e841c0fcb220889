"""Small files that would take gigabytes or minutes: their records are counted, the others stay."""

import errno
import io
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from llm.collect.archive import Archive
from llm.collect.decompress import LIMITS, Limits
from llm.collect.documents import Report
from llm.collect.formats import epub, latex, mediawiki, stackexchange, tabular, warc
from llm.collect.formats.html_text import MOST_ATTRIBUTES, whole_text
from llm.collect.formats.parquet_process import Reader
from llm.errors import InputError
from tests.llm.collect.formats.linear import assert_linear, seconds
from tests.llm.collect.formats.test_epub import BOOK
from tests.llm.collect.formats.test_stackexchange import posts, row

ROW = '{"text": "fine"}\n'


def opened(files: dict[str, bytes | str], limits: Limits = LIMITS) -> Archive:
    data = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return Archive("it", sorted(data), [], lambda name: io.BytesIO(data[name]), limits)


def assert_not_squared(work: Callable[[str], object], make: Callable[[int], str], n: int) -> None:
    """As assert_linear, for inputs that are slow only where they are long."""
    assert any(seconds(work, make(2 * n)) < 3 * seconds(work, make(n)) + 0.02 for _ in range(5))


# ---- HTML of books and posts


@pytest.mark.parametrize("page", ["<nav>a", "<nav>a</nav>", "<script>a</script>", "<div class=pgheader>a"])
def test_what_is_left_out_of_a_book_costs_no_more_than_what_stays(page: str) -> None:
    assert_linear(lambda html: whole_text(html, epub.LEGAL), lambda n: f"<p>start</p>{page * n}<p>end</p>")
    assert whole_text(f"<p>start</p>{page * 9}</nav></script></div>", epub.LEGAL).startswith("start")


def test_attributes_without_end() -> None:
    def tag(n: int) -> str:
        return f"<p>one</p><p {' '.join(f'a{number}=1' for number in range(n))}>two</p>"

    assert_linear(whole_text, tag)
    assert whole_text(tag(2 * MOST_ATTRIBUTES)) == whole_text(tag(9)) == "one\n\ntwo"
    for quoted in ("a=' > ' ", 'a = " > " ', "a=b'c "):
        assert_linear(whole_text, lambda n, quoted=quoted: f"<p>one</p><p {quoted} {'b=1 ' * n}>two</p>")
    picture = "<p>one</p><img alt=x src='data:image/png;base64," + "ab/+ " * 9_000 + "'><p>two</p>"
    assert whole_text(picture) == "one\n\ntwo"


def test_a_book_of_many_chapters_is_not_looked_through_for_each() -> None:
    def spine(n: int) -> str:
        items = "".join(f'<item id="{k}" href="{k}.xhtml" media-type="text/html"/>' for k in range(n))
        refs = "".join(f'<itemref idref="{k}"/>' for k in range(n))
        return f"<package><manifest>{items}</manifest><spine>{refs}</spine></package>"

    def read(package: str) -> None:
        names = {f"OEBPS/z{number}": "" for number in range(package.count("<itemref"))}
        list(epub.documents(opened(BOOK | names | {"OEBPS/book.opf": package}), ["META-INF/container.xml"], Report()))

    assert_not_squared(read, spine, 2_000)


def test_a_book_that_is_too_large_is_counted() -> None:
    report, name = Report(), "META-INF/container.xml"
    limits = replace(LIMITS, member=1 << 20)
    chapters = {"OEBPS/text/one.xhtml": "<p>" + "word " * 150_000, "OEBPS/text/two b.xhtml": "<p>" + "word " * 150_000}
    assert list(epub.documents(opened(BOOK | chapters, limits), [name], report)) == []
    assert report.skipped == {"too large": 1}


# ---- dumps


def test_rows_with_attributes_without_end() -> None:
    def read(data: str) -> list:
        return list(stackexchange.documents(opened({"Posts.xml": data}), ["Posts.xml"], Report()))

    def attributes(n: int) -> str:
        more = "".join(f" a{number}='1'" for number in range(n))
        return f"<posts><row Id='1' PostTypeId='1' Body='x'{more}/></posts>"

    assert_not_squared(read, attributes, 15_000)
    assert [document.text for document in read(attributes(15_000))] == ["x"]


def test_a_question_whose_answers_are_too_large_is_counted() -> None:
    answers = [row(number, 2, "word " * 99, ParentId=1) for number in range(2, 50)]
    data = posts(row(1, 1, "How?"), *answers, row(60, 1, "Why?"))
    report = Report()
    archive = opened({"Posts.xml": data}, replace(LIMITS, member=20_000))
    assert [d.text for d in stackexchange.documents(archive, archive.names, report)] == ["Why?"]
    assert report.skipped == {"too large": 1}


@pytest.mark.parametrize(
    ("inner", "reason"), [("<a/>", "too large"), ("<a>", "broken page"), ("<text>a</text>", "too large")]
)
def test_pages_of_elements_without_end_are_counted(inner: str, reason: str) -> None:
    """Twenty-five million of them, of a few packed kilobytes, took two gigabytes and a minute."""
    page = "<page><title>T</title><revision><text>Prose.</text></revision></page>"
    many = "<page><title>U</title>" + "<revision><text>Old.</text></revision>" * 3_000
    report = Report()
    data = f"<mediawiki><page>{inner * 30_000}</page>{page}{many}</page></mediawiki>"
    archive = opened({"a.xml": data})
    found = [document.text for document in mediawiki.documents(archive, archive.names, report)]
    assert (found, report.skipped) == (["T\n\nProse.", "U\n\nOld."], {reason: 1})


def test_beginnings_of_records_without_end() -> None:
    """Each was looked through for its end, up to 64 KiB."""

    def read(data: str) -> list:
        return list(warc.records(io.BytesIO(data.encode()), "it", Report()))

    whole = "WARC/1.0\nWARC-Type: response\nContent-Length: 1\n\nx\n\n"
    assert_linear(read, lambda n: "WARC/1.0\n" * n + whole)
    assert len(read("WARC/1.0\n" * 99 + whole)) == 1


# ---- papers


def test_papers_that_take_in_the_same_without_end_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 of them, of one text of 500 kB, gave 300 MB."""
    monkeypatch.setattr(latex, "FREE", 0)
    main = "\\documentclass{a}\\usepackage{s}\\begin{document}\\input{b}\\end{document}"
    papers = {f"m{number:03}.tex": main for number in range(100)} | {"b.tex": "word " * 9_000}
    for more, most in (({}, 30), ({"s.sty": r"\newcommand{\a}{b}" * 3_000}, 20)):
        report, archive = Report(), opened(papers | more)
        names = [name for name in archive.names if name.endswith(".tex")]
        found = len({document.part.partition("#")[0] for document in latex.documents(archive, names, report)})
        assert (10 < found < most, report.skipped) == (True, {"too large": 100 - found})


def test_a_paper_that_is_too_large_is_counted() -> None:
    inputs = "".join(f"\\input{{{number}}}" for number in range(20))
    papers = {f"{number}.tex": "word " * 100 for number in range(20)}
    main = f"\\documentclass{{a}}\\begin{{document}}{inputs}\\end{{document}}"
    report, archive = Report(), opened(papers | {"m.tex": main}, replace(LIMITS, member=5_000))
    assert (list(latex.documents(archive, archive.names, report)), report.skipped) == ([], {"too large": 1})


# ---- tables


@pytest.mark.parametrize("line", ["[" + "{}," * 999 + "{}]", "[" + "1," * 999 + "1]", '{"a":' + "[" * 999])
def test_lines_of_values_without_end_are_counted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of 120 MB takes gigabytes as objects."""
    monkeypatch.setattr(tabular, "MOST_VALUES", 900)
    report, archive = Report(), opened({"a.jsonl": ROW + line + "\n" + ROW})
    found = list(tabular.jsonl(archive, archive.names, report, column="text"))
    assert ([document.text for document in found], report.skipped) == (["fine"] * 2, {"too large": 1})
    commas = '{"text": "' + "word " * 900 + '"}\n'
    archive = opened({"a.jsonl": commas})
    assert len(list(tabular.jsonl(archive, archive.names, Report(), column="text"))) == 1


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("rows", [["word " * 10_000] * 2_000, [""] * 2_000_000])
def test_parquet_of_one_text_many_times_is_counted(rows: list[str]) -> None:
    """358 bytes gave twenty gigabytes of documents."""
    data = parquet(pl.DataFrame({"text": rows}))
    assert len(data) < 1 << 19
    report = Report()
    files = {"a.parquet": data, "b.parquet": parquet(pl.DataFrame({"text": ["fine"]}))}
    archive = opened(files, replace(LIMITS, ratio_from=1 << 20))
    found = list(tabular.parquet(archive, archive.names, report, column="text"))
    assert ([document.text for document in found], report.skipped) == (["fine"], {"broken parquet": 1})
    assert "a decompression bomb" in report.problem


def test_equal_texts_are_not_all_made_at_once() -> None:
    assert tabular.rows_at_once(pl.DataFrame({"text": ["a" * (5 << 20), None], "url": ["a" * (3 << 20)] * 2})) == 3
    assert tabular.rows_at_once(pl.DataFrame({"text": ["a" * (99 << 20)]})) == 1
    for frame in (pl.DataFrame({"text": ["a", None]}), pl.DataFrame({"text": [None]}), pl.DataFrame({"text": []})):
        assert tabular.rows_at_once(frame) == 512


def test_a_column_of_nothing_is_counted() -> None:
    report, archive = Report(), opened({"a.parquet": parquet(pl.DataFrame({"text": [None, None], "url": ["u", "v"]}))})
    assert list(tabular.parquet(archive, archive.names, report, column="text")) == []
    assert report.skipped == {"empty": 2}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """It was counted as a broken file, and the record of the build said so."""
    (tmp_path / "a.parquet").write_bytes(parquet(pl.DataFrame({"text": ["x" * 99] * 9_000})))
    with Reader() as reader, pytest.raises(OSError) as caught:
        reader.copy(tmp_path / "a.parquet", Path("/dev/full"), ["text"])
    assert caught.value.errno == errno.ENOSPC


def test_who_is_killed_from_outside_is_no_fault_of_the_file_either(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(parquet(pl.DataFrame({"text": ["x"]})))
    with Reader() as reader:
        assert reader.copy(tmp_path / "a.parquet", tmp_path / "rows", ["text"]) == ["text"]
        os.kill(reader.process.pid, signal.SIGSTOP)
        os.kill(reader.process.pid, signal.SIGKILL)
        with pytest.raises(InputError, match="ended by signal 9"):
            reader.copy(tmp_path / "a.parquet", tmp_path / "rows", ["text"])
        assert reader.copy(tmp_path / "a.parquet", tmp_path / "rows", ["text"]) == ["text"]
