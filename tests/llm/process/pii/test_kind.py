"""One kind at one place: what stands behind a number may be another one's."""

import re

from llm.process.pii.kind import Kind

EVEN = Kind("even", re.compile("[0-9]+(?: [0-9]+)*(?! *[0-9])"), lambda match: len(match[0].replace(" ", "")) == 4)


def test_the_longest_that_is_valid_counts():
    assert EVEN.match("12 34", 0)[0] == "12 34"
    assert EVEN.match("12 34 567 8", 0)[0] == "12 34"
    assert EVEN.match("x 1234 5", 2).span() == (2, 6)


def test_what_is_valid_at_no_blank_is_none():
    assert EVEN.match("12 345", 0) is None
    assert EVEN.match("x1234", 0) is None


def test_a_trunk_number_in_a_row_of_numbers_is_not_shortened():
    """Whether it is a series is looked for behind it, where a shortened text would have its end."""
    phone = Kind("phone", re.compile("(?P<trunk>0)?[0-9 ]+[0-9]"), lambda match: len(match[0]) == 4)
    assert phone.match("0123 4567", 0) is None
    assert phone.match("1123 4567", 0)[0] == "1123"
