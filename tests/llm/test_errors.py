"""Errors of bad input are one line, whatever stands in names and in the messages of libraries."""

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from llm.collect.extract import collect
from llm.errors import InputError, one_line
from tests.llm.collect.formats.test_epub import book
from tests.llm.collect.test_extract import RECIPE


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("plain größer 日本", "plain größer 日本"),
        ("two\nlines\r\n", "two\\nlines"),
        ("a\x1b[31mred\u2028\x00", "a\\x1b[31mred\\u2028\\x00"),
        ("name \udcff", "name \\udcff"),
    ],
)
def test_one_line(message: str, line: str) -> None:
    assert one_line(message) == str(InputError(message)) == line


def zipped(name: str, data: bytes = b"text " * 99) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("format", "data"),
    [
        ("text", zipped("../two\nlines.txt")),
        ("text", zipped("two\nlines.txt").replace(b"text text", b"text\ntext")),
        ("stackexchange", zipped("two\nlines/Posts.xml", b"<posts>\n<row Id='1'/>")),
        ("stackexchange", zipped("two\nlines/Posts.xml", b"<posts>\n<row Body='\na & b'/></posts>")),
        ("mediawiki", zipped("two\nlines.xml", b"<mediawiki><page>")),
        ("dict", zipped("two\nlines.index", b"a\tA\tB\n")),
        ("jsonl", zipped("two\nlines.jsonl", b'{"a\\nb": 1}\n')),
        ("epub", book(**{"OEBPS/book.opf": "<two\nlines"})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_of_archives_and_members_are_one_line(tmp_path: Path, format: str, data: bytes) -> None:
    (tmp_path / "archive").write_bytes(data)
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError) as caught:
        collect(tmp_path / "archive", tmp_path / "raw", replace(RECIPE, format=format))
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


def test_a_name_that_is_no_utf_8_can_be_printed() -> None:
    code = "from llm.command import command\nfrom llm.errors import InputError\n"
    code += "def main() -> dict:\n    raise InputError('member \\udcff')\ncommand(main, [])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: member \\udcff\n")
