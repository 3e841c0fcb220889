"""Dataclasses from JSON: what is declared, or nothing."""

from dataclasses import asdict, dataclass

import pytest

from stemma.base.typed_json import made


@dataclass(frozen=True)
class Inner:
    name: str
    pair: tuple[str, int]


@dataclass(frozen=True)
class Outer:
    count: int
    share: float
    flag: bool
    word: str | None
    inner: Inner
    many: list[Inner]
    names: tuple[str, ...]
    values: dict[str, int]
    any: dict[str, object]
    loose: dict[str, list]


WHOLE = {
    "count": 1, "share": 2, "flag": True, "word": None, "inner": {"name": "a", "pair": ["b", 1]},
    "many": [{"name": "c", "pair": ["d", 2]}], "names": ["e", "f"], "values": {"g": 3}, "any": {"h": [None]},
    "loose": {"i": [1, "j"]},
}  # fmt: skip


def test_what_is_declared():
    found = made(Outer, WHOLE)
    assert found.inner == Inner("a", ("b", 1))
    assert (found.share, type(found.share), found.names) == (2.0, float, ("e", "f"))
    assert asdict(found)["many"] == [{"name": "c", "pair": ("d", 2)}]


@pytest.mark.parametrize(
    "change",
    [
        {"count": True}, {"count": 1.0}, {"count": None}, {"share": True}, {"share": 1 << 60}, {"share": "1"},
        {"flag": 1},
        {"word": 1}, {"inner": {"name": "a"}}, {"inner": {"name": "a", "pair": ["b", 1], "more": 1}}, {"inner": []},
        {"inner": {"name": "a", "pair": ["b"]}}, {"inner": {"name": "a", "pair": ["b", 1, 1]}}, {"many": {}},
        {"many": [1]}, {"names": "ef"}, {"names": [1]}, {"values": {"g": "3"}}, {"values": []}, {"loose": {"i": 1}},
        {"more": 1},
    ],
)  # fmt: skip
def test_anything_else_is_none(change: dict):
    assert made(Outer, WHOLE | change) is None


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_may_be_missing(name: str):
    assert made(Outer, {key: value for key, value in WHOLE.items() if key != name}) is None
    assert made(Outer, None) is made(Outer, []) is None
