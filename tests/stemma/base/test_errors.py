"""Lines that are printed: what they quote of others' words cannot act on the terminal."""

from pathlib import Path

import pytest

from stemma.base.digest import write_atomically
from stemma.base.errors import printable, printable_lines, refusal


def test_only_what_acts_on_a_terminal_is_escaped():
    assert (
        printable("größe 5\N{NO-BREAK SPACE}kB\N{IDEOGRAPHIC SPACE}漢字")
        == "größe 5\N{NO-BREAK SPACE}kB\N{IDEOGRAPHIC SPACE}漢字"
    )
    assert printable("a\x1b[2Jb\x9bc\u202ed\u2028\r\n") == "a\\u001b[2Jb\\u009bc\\u202ed\\u2028\\r\\n"
    assert printable_lines("one\x07\ntwo") == "one\\u0007\ntwo"


def test_a_directory_in_the_place_of_a_file_is_one_line(tmp_path: Path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_atomically(tmp_path / "config.json", b"{}")
    assert refusal(caught.value) == f"{tmp_path}/config.json: is a directory; move it away and run again"
    assert refusal(FileNotFoundError(2, "no such file")) is None
    assert list(tmp_path.iterdir()) == [tmp_path / "config.json"]
