"""YAML of people: whatever is wrong with it is one line that names the file."""

from pathlib import Path

import pytest

from llm.errors import InputError
from llm.io.yaml import read_yaml


def test_what_a_file_holds(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("a: [1, 2.5, é]\nb: 2024-01-02\n", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml")["a"] == [1, 2.5, "é"]


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "a: 2024-13-01", "!!bool maybe", "!!timestamp x", "[" * 2000, "&a [*a]", 'a: "\\ud800"', "a: b: c",
        "\ta: 1", b"a: \xff",
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str | bytes):
    file = tmp_path / "a.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as raised:
        read_yaml(file)
    assert str(raised.value).startswith(f"{file}: cannot be read as YAML (")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        read_yaml(tmp_path / "none.yaml")
