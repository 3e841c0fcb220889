"""Figures as people read them, and sizes as they write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.base.errors import StemmaError
from stemma.base.wording import UNITS, bytes_in, clock, duration, in_brief, plural, short, size_text


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)), st.booleans())
def test_sizes_are_read(number, unit, space):
    assert bytes_in(f"{number}{' ' * space}{unit}B") == number * UNITS[unit]


@given(st.integers(0, 10**15))
def test_a_size_as_written_is_read_as_it_was_to_its_last_digit(size):
    unit = 10 ** (3 * min(4, max(0, (len(str(size)) - 1) // 3)))
    assert abs(bytes_in(size_text(size)) - size) <= unit / 20 * 1.001


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1 GiB", "1,5GB"])
def test_no_size_is_named(text):
    with pytest.raises(StemmaError, match="write it like 20GB"):
        bytes_in(text)


def test_times_are_written():
    assert [duration(value) for value in (0.26, 12, 61, 7620)] == ["0.3 s", "12 s", "1 min 1 s", "2 h 7 min"]
    assert [clock(value) for value in (7, 751, 11045)] == ["0:07", "12:31", "3:04:05"]


def test_values_are_written():
    assert [short(value) for value in (12345, 0.123456, 12345.6, True, "x")] == [
        "12,345",
        "0.1235",
        "12,346",
        "True",
        "x",
    ]
    assert [plural(count, "job") for count in (0, 1, 2000)] == ["0 jobs", "1 job", "2,000 jobs"]
    assert [in_brief(value) for value in (None, "a" * 64, "x" * 70, [1])] == ["none", "a" * 12, "x" * 57 + "...", "[1]"]
