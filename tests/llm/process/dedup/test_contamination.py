"""Planted items are found, whole or in part; clean text is not; the counts are those of what was planted."""

import json
import random
from pathlib import Path

import polars as pl
import pytest

from llm.errors import InputError
from llm.io import parquet
from llm.process.dedup.contamination import Search, evaluation_grams
from llm.process.settings.decontaminate import DecontaminateSettings
from scripts.process import decontaminate

WORDS = ["".join(random.Random(i).choices("etaoinshrdlu", k=4 + i % 5)) for i in range(2000)]


def text(seed: object, n: int) -> str:
    """n words, different ones for each seed."""
    return " ".join(random.Random(str(seed)).choices(WORDS, k=n))


ITEMS = [text(f"item {i}", 40) for i in range(20)]
SHORT = text("short", 9)


def search(*sets: list[str], n: int = 13, min_words: int = 8, min_hits: int = 1) -> Search:
    named = [(f"set{i}", [pl.Series(items, dtype=pl.String)]) for i, items in enumerate(sets)]
    return Search(evaluation_grams(named, n=n, min_words=min_words), min_hits)


def found(searched: Search, *texts: str) -> list[tuple]:
    return searched.of(pl.Series(texts, dtype=pl.String)).rows()


def test_an_item_in_a_document() -> None:
    around = text("around", 100)
    planted = f"{around[:200]} {ITEMS[3]} {around[200:]}"
    searched = search(ITEMS)
    rows = found(searched, around, planted, ITEMS[4], "")
    n = len(planted.split())
    assert rows[0] == rows[3] == (0.0, None)
    assert rows[1] == (round(28 / (n - 12), 6), "set0")  # the 28 n-grams of an item of 40 words
    assert rows[2] == (1.0, "set0")
    assert searched.metrics()["evaluations"]["set0"] == {
        "items": 20, "items_too_short": 0, "items_found": 2, "documents": 2, "hits": 56,
    }  # fmt: skip


def test_case_punctuation_and_layout_hide_nothing() -> None:
    words = ITEMS[0].split()
    other = "“" + ",\n- ".join(word.capitalize() for word in words) + "”…"
    assert found(search(ITEMS), other) == [(1.0, "set0")]


def test_thirteen_words_and_not_twelve() -> None:
    words = ITEMS[0].split()
    assert found(search(ITEMS), " ".join(words[5:18])) == [(1.0, "set0")]
    assert found(search(ITEMS), " ".join(words[5:17])) == [(0.0, None)]


def test_a_short_item_counts_as_a_whole() -> None:
    tiny = text("tiny", 5)
    searched = search([*ITEMS, SHORT, tiny, ""])
    part = " ".join(SHORT.split()[:-1])
    rows = found(searched, f"say {SHORT} then", part, f"say {tiny} then")
    assert rows == [(1.0, "set0"), (0.0, None), (0.0, None)]
    assert searched.metrics()["evaluations"]["set0"]["items_too_short"] == 2


def test_a_set_of_short_items_alone_and_one_of_none() -> None:
    assert found(search([SHORT]), SHORT, ITEMS[0]) == [(1.0, "set0"), (0.0, None)]
    for empty in ([], ["too short"]):
        searched = search(empty)
        assert found(searched, *ITEMS) == [(0.0, None)] * len(ITEMS)
        assert searched.metrics()["contaminated"] == 0


def test_the_set_with_most_of_it_is_named_and_the_first_owns_what_is_in_both() -> None:
    both = f"{ITEMS[0]} {ITEMS[11]} {ITEMS[12]}"
    searched = search(ITEMS[:10], ITEMS[10:], ITEMS[10:])
    assert [row[1] for row in found(searched, both, ITEMS[0], ITEMS[15])] == ["set1", "set0", "set1"]
    counts = searched.metrics()["evaluations"]
    assert [counts[name]["documents"] for name in counts] == [2, 2, 0]
    assert [counts[name]["items_found"] for name in counts] == [1, 3, 3]  # an item of two sets is found in both


def test_min_hits() -> None:
    words = ITEMS[0].split()
    searched = search(ITEMS, min_hits=3)
    assert [row[1] for row in found(searched, " ".join(words[:14]), " ".join(words[:15]))] == [None, "set0"]
    assert searched.metrics()["contaminated"] == 1


def test_min_words_above_ngram() -> None:
    with pytest.raises(InputError, match=r"min_words: 14 must be at most ngram, which is 13"):
        search(ITEMS, min_words=14)


def test_the_script_shard_by_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text(i, 60) for i in range(30)]
    texts[7] += " " + ITEMS[2]
    texts[20] = ITEMS[5]
    frame = pl.DataFrame({"id": [f"s/{i:08d}" for i in range(30)], "text": texts})
    for name, table in (("s", frame), ("exam", pl.DataFrame({"text": ITEMS}))):
        (tmp_path / name).mkdir()
        for i in range(0, len(table), 13):
            parquet.write(table[i : i + 13], tmp_path / name / f"part-{i // 13:05d}.parquet")
    told = DecontaminateSettings(ngram=13, min_words=8, min_hits=1)
    metrics = decontaminate.main(tmp_path / "s", [tmp_path / "exam"], tmp_path / "a.parquet", settings=told)
    monkeypatch.setattr(decontaminate, "CHUNK", 100)
    assert decontaminate.main(tmp_path / "s", [tmp_path / "exam"], tmp_path / "b.parquet", settings=told) == metrics
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pl.read_parquet(tmp_path / "a.parquet")
    assert table["id"].equals(frame["id"])
    assert table.filter(pl.col("contamination") > 0)["id"].to_list() == ["s/00000007", "s/00000020"]
    assert table["evaluation"].drop_nulls().unique().to_list() == ["exam"]
    assert metrics["documents"] == 30
    assert metrics["evaluations"]["exam"]["items_found"] == 2
    assert not any(word in json.dumps(metrics) for word in ITEMS[2].split())  # no text of a set in a record
