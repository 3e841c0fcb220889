"""Lines that are printed: what they quote of others' words cannot act on the terminal."""

from stemma.base.errors import printable, printable_lines


def test_only_what_acts_on_a_terminal_is_escaped():
    assert (
        printable("größe 5\N{NO-BREAK SPACE}kB\N{IDEOGRAPHIC SPACE}漢字")
        == "größe 5\N{NO-BREAK SPACE}kB\N{IDEOGRAPHIC SPACE}漢字"
    )
    assert printable("a\x1b[2Jb\x9bc\u202ed\u2028\r\n") == "a\\u001b[2Jb\\u009bc\\u202ed\\u2028\\r\\n"
    assert printable_lines("one\x07\ntwo") == "one\\u0007\ntwo"
