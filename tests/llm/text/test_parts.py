"""The parts of a source share no document and are together the whole, of every format, whatever holds the members."""

import io
import itertools
import json
import tempfile
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.text.collect import FORMATS, collect
from llm.text.dictd import DIGITS
from llm.text.documents import read_documents
from llm.text.sources import in_parts, parted
from tests.llm.text.test_collect import RECIPE
from tests.llm.text.test_epub import CHAPTER, book
from tests.llm.text.test_stackexchange import posts, row
from tests.llm.text.test_warc import record

NUMBERS = itertools.count()


def said(n: int) -> list[str]:
    """n texts, of which none comes twice in a test."""
    return [f"What is said here is number {next(NUMBERS)} of all that is said." for _ in range(n)]


def dictionary(texts: list[str]) -> tuple[str, str]:
    """The index and the entries of a dictd dictionary."""
    index, body = [], ""
    for number, text in enumerate(texts):
        entry = f"word{number}\n   {text}\n"
        index.append(f"word{number}\t{base64(len(body))}\t{base64(len(entry))}")
        body += entry
    return "\n".join(index) + "\n", body


def base64(number: int) -> str:
    return (base64(number // 64) if number >= 64 else "") + DIGITS[number % 64]


def dump(texts: list[str]) -> str:
    pages = (f"<page><title>T{i}</title><ns>0</ns><revision><text>{text}</text></revision></page>"
             for i, text in enumerate(texts))  # fmt: skip
    return f"<mediawiki>{''.join(pages)}</mediawiki>"


def table(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"text": texts}).write_parquet(buffer)
    return buffer.getvalue()


def members(format: str, number: int, n: int) -> dict[str, bytes | str]:
    """The files of one member of n documents (of one document, where a format has no more in a file)."""
    texts = said(n)
    match format:
        case "text":
            return {f"{number}.txt": "\n\n".join(text * 200 for text in texts)}
        case "rst":
            return {f"{number}.rst": texts[0]}
        case "html":
            return {f"{number}.html": f"<html><body><p>{texts[0]}</p></body></html>"}
        case "latex":  # a main file takes in the others, whatever part they would be in
            inner = {f"{number}/inner{i}.tex": text for i, text in enumerate(texts)}
            inputs = "".join(f"\\input{{inner{i}}}\n" for i in range(n))
            main = f"\\documentclass{{x}}\\begin{{document}}\n{inputs}\\end{{document}}"
            return inner | {f"{number}/z.tex": main, f"{number}.tex": said(1)[0]}
        case "mediawiki":
            return {f"{number}.xml": dump(texts)}
        case "stackexchange":
            return {f"{number}/Posts.xml": posts(*(row(i, 1, f"<p>{text}</p>") for i, text in enumerate(texts)))}
        case "dict":
            return dict(zip((f"{number}.index", f"{number}.dict"), dictionary(texts), strict=True))
        case "code":
            return {f"{number}.py": f"# {texts[0]}\n"}
        case "jsonl":
            return {f"{number}.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in texts)}
        case "parquet":
            return {f"{number}.parquet": table(texts)}
        case "warc":
            pages = (record(i, f"<main><p>{text}</p></main>".encode()) for i, text in enumerate(texts))
            return {f"{number}.warc": b"".join(pages)}
        case "epub":
            chapter = CHAPTER.format(f"<p>{texts[0]}</p>")
            return {f"{number}.epub": book(**{"OEBPS/text/one.xhtml": chapter})}
    raise AssertionError(f"no example of {format}")


def collected(archive: Path, format: str, parts: int, **changes) -> list[list[dict]]:
    """The documents of each part."""
    found = []
    for part in range(parts):
        with tempfile.TemporaryDirectory() as out:
            collect(archive, Path(out), replace(RECIPE, format=format, part=part, parts=parts, **changes))
            found.append([row for frame in read_documents(Path(out)) for row in frame.to_dicts()])
    return found


def same(whole: list[dict], found: list[list[dict]]) -> None:
    """Disjoint and complete: every document of the whole is in one part, but for its number the same."""
    together = [row for part in found for row in part]
    assert len({row["id"] for row in together}) == len(together)
    assert all([row["id"] for row in part] == sorted(row["id"] for row in part) for part in found)
    bare = [Counter(tuple(v for k, v in row.items() if k != "id") for row in rows) for rows in (whole, together)]
    assert bare[0] == bare[1]


@pytest.mark.parametrize("packed", [False, True], ids=["directory", "archive in an archive"])
@pytest.mark.parametrize("format", FORMATS)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6), parts=st.integers(2, 6))
@settings(max_examples=12, deadline=None)
def test_parts_are_disjoint_and_complete(format: str, packed: bool, sizes: list[int], parts: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        files = {name: data for number, n in enumerate(sizes) for name, data in members(format, number, n).items()}
        archive = Path(directory, "tree")
        for name, data in files.items():
            (archive / name).parent.mkdir(parents=True, exist_ok=True)
            (archive / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        changes = {}
        if packed and format != "epub":
            archive, changes = Path(directory, "outer.zip"), {"archives": ["**/*.zip"]}
            with zipfile.ZipFile(archive, "w") as outer:
                for number, group in enumerate((0, 1)):
                    inner = io.BytesIO()
                    with zipfile.ZipFile(inner, "w") as opened:
                        for name, data in list(files.items()) if number == 0 else []:
                            opened.writestr(name, data)
                        opened.writestr(f"other{group}", "of no format")
                    outer.writestr(f"{number}.zip", inner.getvalue())
        (whole,) = collected(archive, format, 1, **changes)
        if len(whole) < parts:
            with pytest.raises(InputError, match=rf"part \d of {parts} \(cut it into fewer\), yields nothing"):
                collected(archive, format, parts, **changes)
            return
        same(whole, collected(archive, format, parts, **changes))
