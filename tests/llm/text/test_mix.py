"""Shares are met to within a document, epochs are whole, and nothing depends on the order of sources."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.text import mix as subject
from llm.text import shards
from scripts.process import mix

DOMAINS = ("books", "code", "web")


def table(sizes: dict[tuple[str, str], list[int]]) -> pl.DataFrame:
    rows = [(source, i, domain, size) for (source, domain), own in sizes.items() for i, size in enumerate(own)]
    return pl.DataFrame(
        rows, schema={"source": pl.String, "document": pl.Int64, "domain": pl.String, "bytes": pl.Int64}, orient="row"
    )


CORPORA = st.dictionaries(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(DOMAINS)),
    st.lists(st.integers(1, 1000), min_size=1, max_size=30),
    min_size=1,
    max_size=6,
).map(lambda sizes: {(source + domain, domain): own for (source, domain), own in sizes.items()})


@settings(max_examples=60, deadline=None)
@given(
    CORPORA,
    st.dictionaries(st.sampled_from(DOMAINS), st.integers(1, 30).map(lambda n: n / 100)),
    st.one_of(st.none(), st.integers(1, 60_000)),
    st.integers(0, 3),
)
def test_exactness(sizes: dict, weights: dict, budget: int | None, seed: int) -> None:
    documents = table(sizes)
    weights = {domain: weight for domain, weight in weights.items() if domain in set(documents["domain"])}
    plan, report = subject.sampling_plan(documents, weights=weights, budget=budget, seed=seed)
    assert report["bytes"]["asked"] == (budget or documents["bytes"].sum())
    assert sum(line["asked_bytes"] for line in report["domains"].values()) == report["bytes"]["asked"]
    assert abs(sum(line["asked_share"] for line in report["domains"].values()) - 1) < 1e-5
    used = plan.join(
        documents.with_columns(pl.col("document").cast(pl.UInt32)),
        on=["source", "document"],
        how="left",
        maintain_order="left",
    )
    assert used["bytes"].null_count() == 0
    for domain, line in report["domains"].items():
        own = used.filter(pl.col("domain") == domain)
        largest = documents.filter(pl.col("domain") == domain)["bytes"].max()
        assert own["bytes"].sum() == line["bytes"]
        assert 2 * abs(line["bytes"] - line["asked_bytes"]) <= largest
        times = (
            documents.filter(pl.col("domain") == domain)
            .join(
                own.group_by("source", pl.col("document").cast(pl.Int64)).len(), on=["source", "document"], how="left"
            )["len"]
            .fill_null(0)
        )
        assert times.max() - times.min() <= 1
        n = line["available_documents"]
        for epoch in range(len(own) // n):  # whole epochs, one after the other
            assert own[epoch * n : (epoch + 1) * n].select("source", "document").is_unique().all()


@settings(max_examples=40, deadline=None)
@given(CORPORA, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_sources_does_not_matter(sizes: dict, seed: int, random) -> None:  # noqa: ANN001
    shuffled = list(sizes.items())
    random.shuffle(shuffled)
    plan, report = subject.sampling_plan(table(sizes), weights={}, budget=None, seed=seed)
    again, report_again = subject.sampling_plan(table(dict(shuffled)), weights={}, budget=None, seed=seed)
    assert plan.equals(again)
    assert report == report_again
    assert len(plan) == sum(map(len, sizes.values()))  # each document once
    assert plan.is_unique().all()


def test_seeds_and_epochs_differ_and_the_beginning_is_mixed() -> None:
    documents = table({("a", "books"): [100] * 500, ("b", "web"): [100] * 1500})
    plan, report = subject.sampling_plan(documents, weights={"books": 0.5}, budget=300_000, seed=0)
    other, _ = subject.sampling_plan(documents, weights={"books": 0.5}, budget=300_000, seed=1)
    assert not plan.equals(other)
    assert report["domains"]["books"]["epochs"] == 3.0
    books = plan.filter(pl.col("source") == "a")["document"].to_list()
    assert books[:500] != books[500:1000] != sorted(books[:500])
    assert abs((plan[:100]["source"] == "a").sum() - 50) <= 1


def test_weights() -> None:
    available = {"books": 100, "code": 300, "web": 600}
    assert subject.shares({}, available) == {
        "books": 1 / subject.Fraction(10),
        "code": subject.Fraction(3, 10),
        "web": subject.Fraction(6, 10),
    }
    assert subject.shares({"books": 0.4}, available)["code"] == subject.Fraction(2, 10)
    assert subject.shares({"books": 2, "code": 1, "web": 1}, available)["books"] == subject.Fraction(1, 2)
    assert subject.shares({"web": 0}, available) == {
        "books": subject.Fraction(1, 4),
        "code": subject.Fraction(3, 4),
        "web": 0,
    }


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"boks": 1}, "known: books, web"),
        ({"books": -1}, "0 or more"),
        ({"books": "1"}, "0 or more"),
        ({"books": float("nan")}, "0 or more"),
        ({"books": 1}, "leaves nothing for web"),
        ({"books": 0, "web": 0}, "all weights are 0"),
        ({"books": True}, "0 or more"),
    ],
)
def test_bad_weights(weights: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        subject.sampling_plan(table({("a", "books"): [1], ("b", "web"): [1]}), weights=weights, budget=None, seed=0)


def test_bad_budgets_and_no_documents() -> None:
    for budget in (0, -1, 1.5, True):
        with pytest.raises(InputError, match=r"mix\.bytes"):
            subject.sampling_plan(table({("a", "books"): [1]}), weights={}, budget=budget, seed=0)
    with pytest.raises(InputError, match="no training documents"):
        subject.sampling_plan(table({}), weights={}, budget=None, seed=0)


def test_the_script(tmp_path: Path) -> None:
    for source, domain in (("a", "books"), ("b", "web")):
        (tmp_path / "clean" / source).mkdir(parents=True)
        for part in range(2):
            frame = pl.DataFrame(
                {"source": source, "domain": domain, "split": ["train", "validation", "train"], "text": ["é" * 50] * 3}
            )
            shards.write(frame, tmp_path / "clean" / source / f"part-{part:05d}.parquet")
    (tmp_path / "clean" / "manifest.json").write_text("{}")
    figures = mix.main(
        tmp_path / "clean",
        tmp_path / "plan.parquet",
        tmp_path / "report.json",
        weights={"web": 0.75},
        bytes=800,
        seed=0,
    )
    plan = pl.read_parquet(tmp_path / "plan.parquet")
    assert plan.schema == {"source": pl.String, "document": pl.UInt32}
    assert sorted(plan.filter(pl.col("source") == "b")["document"]) in (
        [0, 0, 1, 1, 2, 3],
        [0, 0, 1, 2, 2, 3],
        [0, 1, 1, 2, 2, 3],
        [0, 1, 1, 2, 3, 3],
        [0, 0, 1, 2, 3, 3],
        [0, 1, 2, 2, 3, 3],
    )
    assert figures == json.loads((tmp_path / "report.json").read_text())
    assert figures["domains"]["web"]["achieved_share"] == 0.75
