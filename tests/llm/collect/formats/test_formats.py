"""Charsets, and each format without markup on small texts of the kind that real sources hold."""

import gzip
import io
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.collect.archive import Archive
from llm.collect.decode import decode
from llm.collect.decompress import LIMITS
from llm.collect.documents import Document, Report
from llm.collect.formats import dictd, html, plain_text, source_code, tabular
from llm.errors import InputError


def archive(**files: bytes | str) -> Archive:
    """Files in memory; `a__b` names a.b."""
    data = {name.replace("__", "."): text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return Archive("it", sorted(data), [], lambda name: io.BytesIO(data[name]), LIMITS)


def extracted(module, report: Report | None = None, **files: bytes | str) -> list[Document]:
    opened = archive(**files)
    return list(module.documents(opened, opened.names, report or Report()))


# ---- charsets


@pytest.mark.parametrize(
    ("data", "text", "charset"),
    [
        ("größer".encode(), "größer", "utf-8"),
        (b"\xef\xbb\xbfmark", "mark", "utf-8-sig"),
        ("größer".encode("utf-16"), "größer", "utf-16"),
        ("größer".encode("utf-32"), "größer", "utf-32"),
        (b"\x00\x00\xfe\xff" + "größer".encode("utf-32-be"), "größer", "utf-32"),
        ("größer ’ 一, ".encode("utf-16-le") * 9, "größer ’ 一, " * 9, "utf-16-le"),
        ("größer ’ 一, ".encode("utf-16-be") * 9, "größer ’ 一, " * 9, "utf-16-be"),
        (b"\1\0\2\0\3\0\4\0", "\1\0\2\0\3\0\4\0", "utf-8"),
        (
            "Der Bär aß größere Äpfel über Nacht. ".encode("latin-1") * 9,
            "Der Bär aß größere Äpfel über Nacht. " * 9,
            "",
        ),
        ("Привет, как дела? Это русский текст. ".encode("cp1251") * 9, "Привет, как дела? Это русский текст. " * 9, ""),
    ],
)
def test_decode(data: bytes, text: str, charset: str) -> None:
    report = Report()
    assert decode(data, report) == text
    assert not charset or report.decoded == {charset: 1}


def test_html_declares_its_charset() -> None:
    page = '<html><head><meta charset="iso-8859-2"><title>Łódź</title></head><body>Zażółć</body></html>'
    assert extracted(html, a__html=page.encode("iso-8859-2"))[0].text == "Zażółć"


def test_xhtml_declares_its_charset() -> None:
    """Where no <meta> does: detection took Spanish of Latin-1 for Polish of Latin-2."""
    page = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<html><head>{}</head><p>El ni\xf1o, \xbfd\xf3nde?</p></html>"
    report = Report()
    assert "niño, ¿dónde?" in decode(page.format("").encode("latin-1"), report, html=True)
    assert "niño, ¿dónde?" in decode(page.format("").encode(), report, html=True)
    assert report.decoded == {"cp1252": 1, "utf-8": 1}
    meta = page.format("<meta charset='koi8-r'>").encode("latin-1").replace(b"ni\xf1o", "мир".encode("koi8-r"))
    assert "мир" in decode(meta, report, html=True)
    unknown = page.format("").replace("ISO-8859-1", "unicode_escape").encode("latin-1")
    assert "El ni" in decode(unknown, report, html=True)


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "iso2022_jp"])
def test_html_in_a_charset_that_is_no_ascii(charset: str) -> None:
    page = f'<html><head><meta charset="{charset.replace("2022_", "-2022-")}"><title>日本</title></head><p>文章です</p>'
    document = extracted(html, a__html=page.encode(charset))[0]
    assert (document.title, document.text) == ("日本", "文章です")


@given(st.binary(max_size=300))
def test_decode_never_fails(data: bytes) -> None:
    decode(data, Report())


# ---- plain text


def test_gutenberg_header_and_footer_go() -> None:
    text = (
        "The Project Gutenberg EBook of A Tale\n\nLicence, donations.\n"
        "*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***\n\n\nA TALE\n\n"
        + "It was so.\n\n" * 40
        + "*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***\nMore licence."
    )
    (document,) = extracted(plain_text, tale__txt=text)
    assert document.text.startswith("A TALE\n\nIt was so.")
    assert document.text.rstrip().endswith("It was so.")
    assert document.title == "A TALE"


def test_long_text_is_split_at_headings() -> None:
    act = "\n\n".join("BER.\nWho's there? " + "Nay, answer me. " * 20 for _ in range(30))
    play = "HAMLET\n\n" + "".join(f"ACT {number}.\n\nScene I. Elsinore.\n\n{act}\n\n" for number in ("I", "II", "III"))
    found = extracted(plain_text, hamlet__txt=play)
    assert [document.title for document in found] == ["HAMLET", "HAMLET: ACT II.", "HAMLET: ACT III."]
    assert [document.part for document in found] == ["hamlet.txt#1", "hamlet.txt#2", "hamlet.txt#3"]


@given(st.text(alphabet="ab \n", max_size=3000))
def test_split_loses_nothing_and_keeps_its_bounds(text: str) -> None:
    pieces = plain_text.split(text, smallest=80, largest=200)
    assert "".join(pieces) == text
    assert all(len(piece) <= 200 for piece in pieces)
    assert all(len(piece) >= 80 for piece in pieces[:-1])


def test_title_of_plain_text() -> None:
    assert extracted(plain_text, a_file__txt="x " * 100)[0].title == "a file"
    assert extracted(plain_text, a__md="# Heading\n\nText")[0].title == "Heading"


# ---- dictd

HEADWORDS = st.text(alphabet="abcdefg é", min_size=1, max_size=12).map(str.strip).filter(bool)
DEFINITIONS = st.text(alphabet="xyz ü{}\n", min_size=1, max_size=60).filter(str.strip)


def base64_number(value: int) -> str:
    digits = dictd.DIGITS[value % 64]
    while value := value // 64:
        digits = dictd.DIGITS[value % 64] + digits
    return digits


def dictionary(entries: list[tuple[list[str], str]]) -> dict[str, bytes]:
    """(headwords, entry) -> the two files of a dictionary."""
    body, index = b"", []
    for headwords, text in entries:
        data = text.encode()
        index += [f"{word}\t{base64_number(len(body))}\t{base64_number(len(data))}\n" for word in headwords]
        body += data
    return {"words__index": "".join(sorted(index)).encode(), "words__dict__dz": gzip.compress(body, mtime=0)}


@given(st.integers(0, 2**60))
def test_dictd_numbers(value: int) -> None:
    assert dictd.number_of(base64_number(value)) == value


def test_dictionary() -> None:
    report = Report()
    files = dictionary([
        (["00-database-info"], "00-database-info\nabout"),
        ([".net", ".net framework"],
         ".NET framework\n.NET\n\n   <language> An {environment} by {Micro\n   soft}.\n\n   (2003)\n"),
        (["abend"], "ABEND\n /ah´bend/, n.\n\n    [ABnormal END] Abnormal termination { x }.\n"),
    ])  # fmt: skip
    opened = archive(**files)
    found = list(dictd.documents(opened, ["words.index"], report))
    assert [(document.title, document.text) for document in found] == [
        (".NET framework", ".NET framework\n\n<language> An environment by Micro\nsoft.\n\n(2003)"),
        ("ABEND", "ABEND\n\n/ah´bend/, n.\n\n[ABnormal END] Abnormal termination { x }."),
    ]
    assert found[0].part == "words.dict.dz#.NET framework"
    assert report.skipped == {"about the dictionary": 1}


@given(st.dictionaries(HEADWORDS, DEFINITIONS, min_size=1, max_size=6))
def test_every_entry_of_a_dictionary_is_found(words: dict[str, str]) -> None:
    opened = archive(**dictionary([([word], f"{word}\n\n{text}\n") for word, text in words.items()]))
    assert [document.title for document in dictd.documents(opened, ["words.index"], Report())] == list(words)


def test_broken_dictionaries() -> None:
    good = dictionary([(["a"], "a\n\nfirst letter"), (["b"], "b\n\nsecond letter")])
    with pytest.raises(InputError, match=r"no words.dict.dz or words.dict beside it"):
        extracted(dictd, words__index=good["words__index"])
    with pytest.raises(InputError, match="2 of 2 entries end beyond the 8 bytes of words.dict; the two do not belong"):
        extracted(dictd, words__index=good["words__index"], words__dict=b"a\n\nfirst")


def test_broken_lines_of_an_index_are_counted() -> None:
    report, good = Report(), dictionary([([word], f"{word}\n\nletter {word}") for word in "abcd"])
    broken = b"no tabs\nx\tA\ny\tA\t?\nz\tA\t" + b"9" * 9999 + b"\n" + good["words__index"] + b"far\tBBBB\tB\n"
    opened = archive(**good | {"words__index": broken})
    found = [document.title for document in dictd.documents(opened, ["words.index"], report)]
    assert found == ["a", "b", "c", "d"]
    assert report.skipped == {"broken line of an index": 4, "entry outside of the dictionary": 1}
    assert report.problem == "it: words.index: line 1 is not 'headword, offset, length' separated by tabs"


def test_entries_that_are_made_of_each_other_do_not_multiply() -> None:
    body = b"some words " * 99
    index = "".join(f"w{i}\t{base64_number(i)}\t{base64_number(len(body) - i)}\n" for i in range(900))
    report, opened = Report(), archive(words__index=index.encode(), words__dict=body)
    found = list(dictd.documents(opened, ["words.index"], report))
    assert sum(len(document.text) for document in found) < 5 * len(body)
    assert report.skipped == {"entry made of others": 900 - len(found)}


# ---- code


def test_code_skips_what_nobody_wrote() -> None:
    report = Report()
    found = extracted(
        source_code, report, a__py="def f():\n    return 1\n",
        parser__c="/* A Bison parser, generated by bison */\nint x;\n",
        p_pb2__py="# Generated by the protocol buffer compiler.  DO NOT EDIT!\n", x__min__js="var a=1;" * 1000,
        big__py="x = 1\n" * 200_000,
    )  # fmt: skip
    assert [(document.title, document.text) for document in found] == [("a.py", "def f():\n    return 1\n")]
    assert report.skipped == {"generated": 2, "minified": 1, "too large": 1}


# ---- tables


def rows(**files: bytes) -> list[Document]:
    opened, report = archive(**files), Report()
    name = opened.names[0]
    read = tabular.parquet if name.endswith("parquet") else tabular.jsonl
    return list(read(opened, opened.names, report, column="body"))


def test_jsonl_and_parquet() -> None:
    data = [{"body": "one", "title": "T", "url": "http://example.org/1"}, {"body": "two"}, {"body": None}]
    lines = "\n".join(map(json.dumps, data)).encode()
    buffer = io.BytesIO()
    pl.DataFrame(data).write_parquet(buffer)
    for found in (rows(a__jsonl=lines), rows(a__jsonl=gzip.compress(lines)), rows(a__parquet=buffer.getvalue())):
        assert [(document.text, document.title) for document in found] == [("one", "T"), ("two", None)]
        assert found[0].part.endswith("#1 http://example.org/1")


def test_parquet_without_the_column() -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"text": ["x"]}).write_parquet(buffer)
    with pytest.raises(InputError, match="no column 'body'"):
        rows(a__parquet=buffer.getvalue())


@pytest.mark.parametrize(
    ("line", "reason", "problem"),
    [
        (b'{"body": ', "not JSON", "it: a.jsonl: line 2 is not JSON (Expecting value: "),
        (b"[" * 100_000, "not JSON", "it: a.jsonl: line 2 is not JSON (maximum recursion"),
        (b"9" * 5000, "not JSON", "it: a.jsonl: line 2 is not JSON (Exceeds the limit"),
        (b'{"text": "x"}', "no column 'body'", "it: a.jsonl: line 2: no column 'body' (there is: text)"),
        (b'{"body": 1}', "not text", "it: a.jsonl: line 2: column 'body' is int, not text"),
        (b"[1]", "no column 'body'", "it: a.jsonl: line 2: no column 'body' (there is: int)"),
        (b'{"body": "\xff"}', "not UTF-8", "it: a.jsonl: line 2 is not UTF-8"),
    ],
)
def test_a_broken_json_line_is_counted_and_the_others_stay(line: bytes, reason: str, problem: str) -> None:
    report, opened = Report(), archive(a__jsonl=b'{"body": "one"}\n' + line + b'\n\n{"body": "two"}\n')
    assert [document.text for document in tabular.jsonl(opened, opened.names, report, column="body")] == ["one", "two"]
    assert report.skipped == {reason: 1}
    assert report.problem.startswith(problem)


def test_a_row_of_many_columns_makes_no_long_message() -> None:
    report, row = Report(), json.dumps({f"{i}" * 99: i for i in range(999)})
    assert list(tabular.jsonl(archive(a__jsonl=row), ["a.jsonl"], report, column="body")) == []
    assert len(report.problem) < 1000


@pytest.mark.parametrize(
    "data",
    [
        b'[{"body": "one"}, {"body": "two"}]',
        b'[\n{"body": "one"},\n{"body": "two"}\n]\n',
        b'[{"body": "one"},\n {"body": "two"}]',
        b'\x1e{"body": "one"}\n\x1e{"body": "two"}\n',
    ],
    ids=["a list", "a line a row", "brackets beside rows", "text sequence"],
)
def test_json_lists_give_their_rows(data: bytes) -> None:
    report, opened = Report(), archive(a__json=data)
    documents = list(tabular.jsonl(opened, opened.names, report, column="body"))
    assert [document.text for document in documents] == ["one", "two"] and not report.skipped
    assert len({document.part for document in documents}) == 2
