"""A slice of the config: from JSON, its mistakes one line each; as a rule makes it; the sentences of its keys."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from llm.errors import InputError
from llm.settings import key, made, sentences, slice_of


@dataclass(frozen=True)
class Shared:
    size: int = key(4, minimum=1)
    """How large."""


@dataclass(frozen=True)
class Inner:
    rate: float = key(0.5, exclusiveMinimum=0, maximum=1)
    mode: Literal["a", "b"] = key("a")


@dataclass(frozen=True, kw_only=True)
class Slice(Shared):
    name: str = key()
    """Over two
    lines."""
    inner: Inner = key(Inner())
    maybe: Inner | None = key(None)
    limit: int | None = key(None, minimum=1)
    words: list[str] = key([])
    counts: dict[str, int] = key({})
    sizes: tuple[int, ...] = key((1, 2))
    place: Path | None = None
    seed: int = 0


def test_what_is_left_out_takes_its_default():
    assert made(Slice, {"name": "x"}) == Slice(name="x")


def test_values_take_their_types():
    found = made(Slice, {"name": "x", "maybe": {"rate": 1}, "sizes": [3], "place": "a/b", "counts": {"q": 2}})
    assert (found.maybe, found.sizes, found.place, found.counts) == (Inner(rate=1), (3,), Path("a/b"), {"q": 2})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "name is missing; add it"),
        ({"name": "x", "nmae": 1}, "nmae: unknown key; known are size, name"),
        ({"name": 1}, "name: 1 is not of type string; correct the value"),
        ({"name": "x", "size": True}, "size: True is not of type integer; correct the value"),
        ({"name": "x", "size": 1.5}, "size: 1.5 is not of type integer; correct the value"),
        ({"name": "x", "size": 0}, "size: 0 is less than the minimum of 1; correct the value"),
        ({"name": "x", "size": None}, "size: None is not of type integer; correct the value"),
        ({"name": "x", "limit": 0}, "limit: 0 is less than the minimum of 1; correct the value"),
        ({"name": "x", "inner": 5}, "inner: 5 is not of type object; correct the value"),
        ({"name": "x", "inner": {"rate": 0}}, "inner.rate: 0 is not above 0; correct the value"),
        ({"name": "x", "inner": {"rate": 1.5}}, "inner.rate: 1.5 is more than the maximum of 1; correct the value"),
        ({"name": "x", "inner": {"rate": "1e-3"}}, "inner.rate: '1e-3' is not of type number; correct the value"),
        ({"name": "x", "maybe": {"mode": "c"}}, "maybe.mode: 'c' is not one of a, b"),
        ({"name": "x", "words": "y"}, "words: 'y' is not of type array; correct the value"),
        ({"name": "x", "words": ["y", 1]}, "words.1: 1 is not of type string; correct the value"),
        ({"name": "x", "counts": {"q": "2"}}, "counts.q: '2' is not of type integer; correct the value"),
        ([], "Slice: [] is not of type object; correct the value"),
    ],
)
def test_each_mistake_is_one_line(values: object, message: str):
    with pytest.raises(InputError) as caught:
        made(Slice, values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_slice_holds_no_more_than_its_script_reads():
    block, other = {"name": "x", "size": 2, "unread": 1}, {"size": 3, "words": ["a"]}
    found = slice_of(Slice, block, other, seed=7)
    assert found == {"name": "x", "size": 2, "words": ["a"], "seed": 7}
    with pytest.raises(KeyError, match="name"):
        slice_of(Slice, other)


def test_sentences_stand_below_their_keys():
    assert sentences(Slice) == {"size": "How large.", "name": "Over two lines."}


def test_defaults_are_each_instance_s_own():
    Slice(name="x").words.append("y")
    assert Slice(name="x").words == []
