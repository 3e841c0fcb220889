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

from llm.collect.config import check_url, in_parts, parted
from llm.collect.extract import FORMATS, collect
from llm.collect.formats.dictd import DIGITS
from llm.errors import InputError
from tests.llm.collect.formats.test_epub import CHAPTER, book
from tests.llm.collect.formats.test_stackexchange import posts, row
from tests.llm.collect.formats.test_warc import record
from tests.llm.collect.read_shards import read_documents
from tests.llm.collect.test_extract import RECIPE

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
    """The documents of each part; none of one that says that it has none."""
    found = []
    for part in range(parts):
        with tempfile.TemporaryDirectory() as out:
            try:
                collect(archive, Path(out), replace(RECIPE, format=format, part=part, parts=parts, **changes))
            except InputError as error:
                assert f"part {part + 1} of {parts} (cut it into fewer), yields nothing" in str(error)
                found.append([])
                continue
            found.append([row for frame in read_documents(Path(out)) for row in frame.to_dicts()])
    return found


def write_tree(tree: Path, files: dict[str, bytes | str]) -> None:
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def zipped(files: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return buffer.getvalue()


held = pytest.mark.parametrize("inner", [0, 1, 3], ids=["a tree", "in an archive", "in three"])


@held
@pytest.mark.parametrize("format", [format for format in FORMATS if format != "parquet"])
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6), parts=st.integers(2, 6))
@settings(max_examples=6, deadline=None)
def test_parts_are_disjoint_and_complete(format: str, inner: int, sizes: list[int], parts: int) -> None:
    """But for its number every document of the whole is in one part, the same: its url too."""
    assert_disjoint_and_complete(format, inner, sizes, parts)


@held
@pytest.mark.parametrize(
    ("sizes", "parts"), [([3, 1, 2], 3), pytest.param([1, 5, 2, 2], 5, marks=pytest.mark.thorough)]
)
def test_so_are_those_of_parquet(inner: int, sizes: list[int], parts: int) -> None:
    """Which each part reads in a process of its own that loads polars."""
    assert_disjoint_and_complete("parquet", inner, sizes, parts)


def assert_disjoint_and_complete(format: str, inner: int, sizes: list[int], parts: int) -> None:
    groups = [members(format, number, n) for number, n in enumerate(sizes)]
    files, changes = {name: data for group in groups for name, data in group.items()}, {}
    if inner and format != "epub":  # a book is an archive itself
        shares = [[files for group in groups[i::inner] for files in group.items()] for i in range(inner)]
        files = {f"{i}.zip": zipped({"README": "of no format"} | dict(share)) for i, share in enumerate(shares)}
        changes = {"archives": ["*.zip"]}
    with tempfile.TemporaryDirectory() as directory:
        write_tree(Path(directory), files)
        (whole,) = collected(Path(directory), format, 1, **changes)
        found = collected(Path(directory), format, parts, **changes)
    together = [row for part in found for row in part]
    assert len({row["id"] for row in together}) == len(together)
    assert all([row["id"] for row in part] == sorted(row["id"] for row in part) for part in found)
    bare = [Counter(tuple(v for k, v in row.items() if k != "id") for row in rows) for rows in (whole, together)]
    assert bare[0] == bare[1]
    if not inner and format not in ("text", "latex"):
        assert all(found) == (len(whole) >= parts)


def test_where_each_member_is_a_document_numbers_are_those_of_the_whole(tmp_path: Path) -> None:
    write_tree(tmp_path, {name: data for number in range(7) for name, data in members("html", number, 1).items()})
    (whole,), found = collected(tmp_path, "html", 1), collected(tmp_path, "html", 3)
    assert found == [whole[part::3] for part in range(3)]


def test_what_all_parts_come_across_is_counted_once(tmp_path: Path) -> None:
    rows = [json.dumps({"text": text}) for text in said(6)]
    (tmp_path / "a.jsonl").write_bytes("\n".join(rows).encode() + b'\n{"text": null}\n\xff\n')
    skipped = Counter()
    for part in range(2):
        (tmp_path / f"out{part}").mkdir()
        recipe = replace(RECIPE, format="jsonl", part=part, parts=2)
        skipped.update(collect(tmp_path / "a.jsonl", tmp_path / f"out{part}", recipe)["skipped"])
    assert skipped == {"empty": 1, "not UTF-8": 1}


def test_names_of_parts() -> None:
    sources = {"a": {"path": "a", "parts": 10}, "b": {"path": "b"}, "c": {"path": "c", "parts": 1}}
    assert in_parts(["b", "a"], sources)[:3] == ["b", "a-01of10", "a-02of10"]
    assert sorted(names := in_parts(["a"], sources)) == names
    found = parted(sources)
    assert list(found) == in_parts(["a", "b", "c"], sources)
    assert found["a-10of10"] == {"path": "a", "parts": 10, "whole": "a", "part": 9}
    assert found["b"] == {"path": "b", "parts": 1, "whole": "b", "part": 0}


@pytest.mark.parametrize("order", [1, -1])
def test_a_part_with_the_name_of_another_source(order: int) -> None:
    sources = dict([("a", {"path": "a", "parts": 2}), ("a-2of2", {"path": "b"})][::order])
    with pytest.raises(InputError, match=r"config: sources.a-2of2 has the name of a part of a; rename one of the two"):
        parted(sources)


def test_a_password_in_an_address_is_refused_unseen() -> None:
    with pytest.raises(InputError, match="sources.s.url names a user or a password.*`machine a.org login") as refused:
        parted({"s": {"url": "https://me:secret@a.org/x.tar.gz"}})
    assert "secret" not in str(refused.value)
    with pytest.raises(InputError, match="imported.url names a user or a password"):
        check_url("imported", "https://me:secret@a.org/x.gguf")


@pytest.mark.parametrize("url", ["https://me:secret@[::1/x", "https://me:secret@\u2100/x"])
def test_what_is_no_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="^config: sources.s.url is no URL") as refused:
        parted({"s": {"url": url}})
    assert "secret" not in str(refused.value)
