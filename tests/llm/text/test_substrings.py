"""What is cut out stands elsewhere, nothing else is, and long repetitions do not escape."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.text.substrings import entries, remove, repeated, spans

LEAST = 60


def cut(texts: list[str]) -> tuple[list[str], list[list[str]]]:
    """The texts without what stood before, and what was cut out of each; a text's place is its name."""
    table = entries(np.arange(len(texts), dtype=np.uint64), pl.Series(texts, dtype=pl.String), LEAST)
    found = dict(spans(repeated(table)).iter_rows())
    parts = [[text[s["start"] : s["end"]] for s in found.get(i, [])] for i, text in enumerate(texts)]
    return [remove(text, found.get(i, [])) for i, text in enumerate(texts)], parts


def words(seed: int, n: int, alphabet: str = "word") -> str:
    return " ".join(f"{alphabet}{i}" for i in np.random.Generator(np.random.PCG64(seed)).integers(0, 10**6, n))


def test_a_shared_stretch_is_cut_from_the_later_document() -> None:
    shared = words(0, 100, "gemeinsam—é")
    texts = [f"{words(1, 30)} {shared} {words(2, 30)}", words(3, 200), f"{words(4, 30)} {shared} {words(5, 30)}"]
    left, parts = cut(texts)
    assert left[:2] == texts[:2]
    (part,) = parts[2]
    assert part in shared and len(part) > 0.6 * len(shared)


def test_repetition_within_a_document_leaves_the_first() -> None:
    once = words(7, 60)
    ((left,), _) = cut([f"{once} {words(8, 5)} {once}"])
    assert left.startswith(once) and len(left) < 1.5 * len(once)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["alpha", "b", "中文", "é—", "x" * 30, "\n"]), max_size=80), max_size=4))
def test_only_what_stands_elsewhere_is_cut(parts: list[list[str]]) -> None:
    texts = list(dict.fromkeys(" ".join(part) for part in parts))
    left, removed = cut(texts)
    for i, (text, rest, gone) in enumerate(zip(texts, left, removed, strict=True)):
        assert len(rest) + sum(map(len, gone)) == len(text)
        for part in gone:
            window = part[: LEAST // 3]
            assert any(window in other for other in texts[:i]) or text.count(window) > 1


def test_nothing() -> None:
    assert cut([]) == ([], [])
    assert cut(["", "short", "x" * 500]) == (["", "short", "x" * 500], [[], [], []])
