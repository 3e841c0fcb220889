"""Sources of any size: dumps, tables and lines are read piece by piece; papers of several files come together."""

import bz2
import gzip
import io
import json
import subprocess
import tracemalloc
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.collect.archive import Archive, open_archive
from llm.collect.decompress import LIMITS
from llm.collect.documents import Report
from llm.collect.formats import latex, mediawiki, plain_text, tabular
from llm.errors import InputError


def opened(limit: int = LIMITS.member, **files: bytes) -> Archive:
    data = {name.replace("__", ".").replace("_S_", "/"): value for name, value in files.items()}
    limits = replace(LIMITS, member=limit)
    return Archive("it", sorted(data), [], lambda name: io.BytesIO(data[name]), limits)


def page(number: int, text: str, revisions: int = 1, more: str = "<ns>0</ns>") -> str:
    body = "".join(f"<revision><id>{n}</id><text>{text if n == revisions - 1 else 'old'}</text></revision>"
                   for n in range(revisions))  # fmt: skip
    return f"<page><title>T{number}</title>{more}{body}</page>\n"


def dump(*pages: str) -> bytes:
    return ('<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">' + "".join(pages) + "</mediawiki>").encode()


def test_multistream_dump_with_revisions_and_redirects() -> None:
    whole = dump(page(1, "First.", revisions=3), page(2, "#WEITERLEITUNG [[T1]]"), page(3, "Third."))
    packed = b"".join(bz2.compress(whole[at : at + 70]) for at in range(0, len(whole), 70))
    archive, report = opened(wiki__xml__bz2=packed), Report()
    found = list(mediawiki.documents(archive, archive.names, report))
    assert [document.text for document in found] == ["T1\n\nFirst.", "T3\n\nThird."]
    assert report.skipped == {"redirect": 1}
    broken = opened(wiki__xml__bz2=packed[:-20])
    with pytest.raises(InputError, match="truncated|not a whole"):
        list(mediawiki.documents(broken, broken.names, Report()))


def test_memory_does_not_grow_with_the_dump() -> None:
    def peak(count: int) -> int:
        archive = opened(a__xml=dump(*(page(number, "x" * 2000, revisions=4) for number in range(count))))
        tracemalloc.start()
        for _ in mediawiki.documents(archive, archive.names, Report()):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(3000) < 1.5 * peak(300) + (1 << 19)


def test_files_and_lines_that_are_too_large_are_counted() -> None:
    report = Report()
    archive = opened(100, a__txt=b"x" * 101, b__txt=b"y" * 100)
    assert [document.text for document in plain_text.documents(archive, archive.names, report)] == ["y" * 100]
    lines = [json.dumps({"text": "x" * size}).encode() for size in (10, 500, 20)]
    archive = opened(100, a__jsonl=b"\n".join(lines))
    found = list(tabular.jsonl(archive, archive.names, report, column="text"))
    assert [len(document.text) for document in found] == [10, 20]
    assert [document.part for document in found] == ["a.jsonl#1", "a.jsonl#3"]
    assert report.skipped == {"too large": 2}


def test_zst_is_read_without_its_program_and_a_cut_one_is_an_error(tmp_path: Path) -> None:
    try:
        packed = subprocess.run(
            ["zstd", "-qc"], input=b'{"text": "one"}\n' * 999, capture_output=True, check=True
        ).stdout
    except FileNotFoundError:
        pytest.skip("no zstd program to pack with")
    for data, match in ((packed, ""), (packed[:-3], "truncated or damaged")):
        archive = opened(a__jsonl__zst=data)
        if match:
            with pytest.raises(InputError, match=match):
                list(tabular.jsonl(archive, archive.names, Report(), column="text"))
        else:
            assert len(list(tabular.jsonl(archive, archive.names, Report(), column="text"))) == 999
    (tmp_path / "a.jsonl.zst").write_bytes(packed)
    with open_archive(tmp_path / "a.jsonl.zst", label="it") as archive:
        assert archive.read("a.jsonl.zst").startswith(b'{"text"')


def test_parquet_row_groups_keep_their_order_and_empty_files_are_survived() -> None:
    buffer, nothing = io.BytesIO(), io.BytesIO()
    texts = [f"text {number}" for number in range(20_000)]
    pl.DataFrame({"text": texts}).write_parquet(buffer, row_group_size=700)
    pl.DataFrame({"text": []}, schema={"text": pl.String}).write_parquet(nothing)
    archive = opened(a__parquet=nothing.getvalue(), b__parquet=buffer.getvalue())
    found = list(tabular.parquet(archive, archive.names, Report(), column="text"))
    assert [document.text for document in found] == texts
    assert found[-1].part == "b.parquet#20000"


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.floats(0, 1))
def test_damaged_parquet_is_one_line(noise: bytes, at: float) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"text": ["some text"] * 300}).write_parquet(buffer)
    data = bytearray(buffer.getvalue())
    begin = int(at * len(data))
    data[begin : begin + len(noise)] = noise
    archive = opened(a__parquet=bytes(data))
    try:
        list(tabular.parquet(archive, archive.names, Report(), column="text"))
    except InputError as error:
        assert "\n" not in str(error)


MAIN = rb"""\documentclass{article}
\newcommand{\R}[1][x]{\mathbb{R}^{#1}}
\begin{document}
\newenvironment{claim}[1]{\begin{quote}#1}{\end{quote}}
\title{Whole}
% \input{hidden}
\input{parts/one}
\include{two}
Equation $\R[n] \to \R$ stays.
\input{main}
\end{document}
"""


def test_a_paper_of_several_files_is_one_document() -> None:
    archive = opened(
        p_S_main__tex=MAIN, p_S_parts_S_one__tex=b"First part. \\input{parts/deep}", p_S_parts_S_deep__tex=b"Deep $a$.",
        p_S_two__tex=b"Second \\emph{part}.\\input{parts/one}", p_S_hidden__tex=b"A chapter of its own.",
    )  # fmt: skip
    found = {document.part: document for document in latex.documents(archive, archive.names, Report())}
    assert list(found) == ["p/hidden.tex", "p/main.tex"]
    assert found["p/main.tex"].title == "Whole"
    text = " ".join(found["p/main.tex"].text.split())
    assert text == "First part. Deep $a$. Second part. Equation $\\R[n] \\to \\R$ stays."


def test_text_gz_of_a_debian_package_and_a_cut_one() -> None:
    archive = opened(a__txt__gz=gzip.compress(b"changes"))
    assert [document.text for document in plain_text.documents(archive, archive.names, Report())] == ["changes"]
    archive = opened(a__txt__gz=gzip.compress(b"changes" * 99)[:-9])
    with pytest.raises(InputError, match="truncated"):
        list(plain_text.documents(archive, archive.names, Report()))
