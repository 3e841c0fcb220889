"""A JSON object of another tool: whatever is wrong with it is one line that names the file."""

from pathlib import Path

import pytest

from llm.errors import InputError
from llm.io.json_object import read_object


def test_what_a_file_holds(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"a": "é"}', encoding="utf-8")
    assert read_object(tmp_path / "a.json", "build it") == {"a": "é"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "is missing; build it"),
        (b"{", "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[1]", "list where a JSON object should be"),
        (b"null", "NoneType where a JSON object should be"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, data: bytes | None, said: str):
    file = tmp_path / "a.json"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(InputError) as raised:
        read_object(file, "build it")
    assert str(file) in str(raised.value) and said in str(raised.value)
    assert "\n" not in str(raised.value)
