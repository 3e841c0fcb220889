"""Names near sensitive words, and only there; the windows that the model reads."""

from pathlib import Path

import polars as pl
import pytest

from llm.io import parquet
from llm.process.pii.person_names import MOST, PASSAGE, WINDOW, Finder, passages, windows, within
from llm.process.settings.names import NamesSettings
from scripts.process import names
from tests.llm.process.pii.names_corpus import documents


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder()


def test_only_where_it_is_sensitive(finder: Finder) -> None:
    texts = [
        "The patient, Anna Whitaker, was diagnosed with diabetes in March.",
        "The novel was written by Anna Whitaker in 1999.",
        "",
        None,
    ]
    found, counts = finder.names_of(pl.Series(texts))
    assert [[texts[row][s.start : s.end] for s in own] for row, own in enumerate(found)] == [
        ["Anna Whitaker"],
        [],
        [],
        [],
    ]
    assert counts == {"marked": 1, "characters_read": len(texts[0]), "characters_unread": 0}


def test_the_script_writes_a_row_for_each_document(tmp_path: Path) -> None:
    texts = ["Nothing of the kind.", "The patient, Anna Whitaker, was diagnosed with diabetes in March."]
    for folder in ("raw", "names"):
        (tmp_path / folder).mkdir()
    rows = pl.DataFrame({"id": ["s/0", "s/1"], "text": texts})
    parquet.write(rows, tmp_path / "raw/part-00000.parquet")
    metrics = names.main(tmp_path / "raw", tmp_path / "names", settings=NamesSettings())
    written = parquet.read(tmp_path / "names/part-00000.parquet", ["id", "names"])
    assert written["id"].to_list() == ["s/0", "s/1"]
    [span] = written["names"].to_list()[1]
    assert texts[1][span["start"] : span["end"]] == "Anna Whitaker"
    assert written["names"].to_list()[0] == []
    assert (metrics["documents"], metrics["marked"], metrics["names"]) == (2, 1, 1)


def test_everywhere_means_everywhere() -> None:
    """Far from any sensitive word, beyond what is read of a document otherwise, and single names."""
    far = "The committee met in the autumn and agreed on the budget. " * 600
    text = f"The novel was written by Anna Whitaker in 1999. {far}\nThe preface is by Robert Hughes; Linda signed it."
    found, counts = Finder(everywhere=True).names_of(pl.Series([text, "", None]))
    assert [text[span.start : span.end] for span in found[0]] == ["Anna Whitaker", "Robert Hughes", "Linda"]
    assert found[1:] == [[], []]
    assert counts == {"marked": 1, "characters_read": len(text), "characters_unread": 0}


def test_everywhere_finds_what_the_model_calls_a_person() -> None:
    """All of it, as tools do that pass the model's verdict on."""
    finder = Finder(everywhere=True)
    texts = [text for text, _ in documents(60, seed=5)]
    found, _ = finder.names_of(pl.Series(texts))
    for text, spans in zip(texts, found, strict=True):
        own = {(entity.start_char, entity.text) for entity in finder.model(text).ents if entity.label_ == "PERSON"}
        own = {(start, name.removesuffix("'s").removesuffix("’s")) for start, name in own}
        assert {(span.start, text[span.start : span.end]) for span in spans} == own


@pytest.mark.parametrize("text", ["", "a", "x" * 12_001, "word " * 3000, "line\n" * 3000, "ab \n" + "y" * 9000 + " z"])
def test_passages_are_the_text(text: str) -> None:
    parts = passages(text)
    assert "".join(text[begin:end] for begin, end in parts) == text
    assert all(0 < end - begin <= PASSAGE for begin, end in parts)


def test_precision_and_recall(finder: Finder) -> None:
    made = list(documents(400, seed=3))
    found, _ = finder.names_of(pl.Series([text for text, _ in made]))
    got = {(row, span) for row, own in enumerate(found) for span in own}
    known = {(row, span) for row, (_, own) in enumerate(made) for span in own}
    assert len(got & known) / len(known) >= 0.5
    assert len(got & known) / len(got) >= 0.6


def test_windows_lie_around_cues_and_do_not_meet() -> None:
    text = "a b " * 200 + "passport " + "c d " * 200 + "felony, then a salary " + "e f " * 200
    parts = windows(text)
    assert len(parts) == 2
    assert all(text[begin - 1] == " " and text[end] == " " for begin, end in parts)
    for word in ("passport", "felony", "salary"):
        at = text.index(word)
        assert any(begin <= at - WINDOW + 4 and at + len(word) + WINDOW <= end for begin, end in parts)
    assert windows("nothing of the kind") == []
    assert windows("x" * 5000 + " passport " + "y" * 5000)[0][1] < 5600


def test_what_is_read_of_one_document_is_bounded_and_the_rest_counted() -> None:
    parts = windows("passport " * 100_000)
    read, unread = within(parts, MOST)
    assert sum(end - begin for begin, end in read) == MOST
    assert unread == sum(end - begin for begin, end in parts) - MOST
