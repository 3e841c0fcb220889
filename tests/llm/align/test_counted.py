"""Counted random numbers: what they are for decides them, and nothing else."""

from collections import Counter

from llm.align.counted import BITS, counted, draw


def test_a_number_is_its_parts_alone():
    assert counted(1, "a", 2) == counted("1", "a", "2") != counted(1, "a2")
    assert counted("a", "b") != counted("ab")
    assert 0 <= min(counted(n) for n in range(100)) <= max(counted(n) for n in range(100)) < 2**BITS
    assert counted("\ud800") != counted("?")


def test_draws_are_even():
    drawn = Counter(draw(4, 1, "coin", number) for number in range(4000))
    assert sorted(drawn) == [0, 1, 2, 3]
    assert sum((count - 1000) ** 2 / 1000 for count in drawn.values()) < 16.3  # chi-squared, 3 degrees, p = 0.001
