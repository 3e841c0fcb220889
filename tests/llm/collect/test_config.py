"""What the reference models learn from, by the config."""

import pytest

from llm.collect.config import reference_sources
from llm.errors import InputError

SOURCES = {
    "a": {"path": "a"},
    "b": {"url": "https://example.org/b.txt"},
    "c": {"path": "c"},
    "labels": {"pypi": "labels==1", "file": "labels.tar.gz", "include": ["**/x.csv"]},
}
NONE = {"curated": [], "raw": None, "toxicity": None}


def test_all_other_sources_are_raw() -> None:
    found = reference_sources(NONE | {"curated": ["c", "a"]}, ["a", "b", "c"], SOURCES)
    assert (found["curated"], found["raw"]) == (["a", "c"], ["b"])
    assert found["archive"] == []


def test_raw_may_be_named() -> None:
    found = reference_sources(NONE | {"curated": ["a"], "raw": ["c"]}, ["a", "b", "c"], SOURCES)
    assert (found["curated"], found["raw"]) == (["a"], ["c"])


def test_a_corpus_of_ones_own_needs_no_default_source() -> None:
    found = reference_sources(NONE | {"curated": ["a"], "raw": ["b"]}, ["c"], SOURCES)
    assert (found["curated"], found["raw"]) == ([], [])


def test_labelled_examples_come_from_the_fetched_archive_or_a_file_of_ones_own() -> None:
    labels = {"source": "labels", "text": "text", "label": "toxic"}
    found = reference_sources(NONE | {"toxicity": labels}, ["a"], SOURCES)
    assert found["archive"] == ["results/fetched/labels/archive"]
    assert found["labels"] == labels | {"file": "labels.tar.gz", "include": ["**/x.csv"]}
    found = reference_sources(NONE | {"toxicity": labels | {"source": "a"}}, ["a"], SOURCES)
    assert found["archive"] == ["a"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"curated": ["nosuch"]}, "process.reference.curated: nosuch is not defined"),
        ({"raw": ["nosuch"]}, "process.reference.raw: nosuch is not defined"),
        ({"toxicity": {"source": "nosuch"}}, "process.reference.toxicity.source: nosuch is not defined"),
        ({"curated": ["a", "b"], "raw": ["b"]}, "b cannot be both"),
    ],
)
def test_mistakes(reference: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reference_sources(NONE | reference, ["a", "b"], SOURCES)
