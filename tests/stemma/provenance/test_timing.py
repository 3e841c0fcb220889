"""How long what is left will take: bounds that every schedule keeps, and the schedules of small cases by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.provenance.timing import time_left


@st.composite
def work(draw) -> tuple[dict[str, float], dict[str, list[str]], dict[str, int], int]:
    """Jobs, each needing only earlier ones."""
    names = [f"job{number}" for number in range(draw(st.integers(1, 8)))]
    left = {name: draw(st.floats(0, 100)) for name in names}
    needs = {
        name: draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        for number, name in enumerate(names)
    }
    slots = {name: draw(st.integers(1, 4)) for name in names}
    return left, needs, slots, draw(st.integers(1, 4))


def longest_chain(left: dict[str, float], needs: dict[str, list[str]]) -> float:
    ends: dict[str, float] = {}
    for name in left:
        ends[name] = left[name] + max((ends[other] for other in needs[name]), default=0.0)
    return max(ends.values())


@given(work())
def test_no_schedule_beats_the_longest_chain_or_the_room_nor_is_worse_than_one_by_one(jobs):
    left, needs, slots, room = jobs
    seconds = time_left(left, needs, slots, set(), room)
    volume = sum(left[name] * min(slots[name], room) for name in left) / room
    assert max(longest_chain(left, needs), volume) <= seconds + 1e-6
    assert seconds <= sum(left.values()) + 1e-6


@given(work())
def test_with_room_for_all_it_is_the_longest_chain(jobs):
    left, needs, slots, _ = jobs
    assert time_left(left, needs, slots, set(), 1000) == pytest.approx(longest_chain(left, needs))


def test_small_cases():
    left = {"a": 4.0, "b": 3.0, "c": 2.0}
    assert time_left(left, {}, {}, set(), 1) == 9
    assert time_left(left, {}, {}, set(), 2) == 5
    assert time_left(left, {}, {"a": 2}, set(), 2) == 7
    assert time_left(left, {"c": ["a", "gone"]}, {}, {"b"}, 2) == 6
    assert time_left({}, {}, {}, set(), 2) == 0
