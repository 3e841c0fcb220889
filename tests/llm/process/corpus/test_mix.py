"""Shares are met to within a document, epochs are whole, and nothing depends on the order of sources."""

import json
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.io import parquet
from llm.process.corpus import domain_shares
from llm.process.corpus import mix as subject
from llm.process.settings.mix import MixSettings
from scripts.process import mix

DOMAINS = ("books", "code", "web")


def table(sizes: dict[tuple[str, str], list[int]]) -> pl.DataFrame:
    """Documents; their quality falls with their size."""
    rows = [
        (source, i, domain, size, 1 / (1 + size))
        for (source, domain), own in sizes.items()
        for i, size in enumerate(own)
    ]
    types = {"source": pl.String, "document": pl.Int64, "domain": pl.String, "bytes": pl.Int64, "quality": pl.Float64}
    return pl.DataFrame(rows, schema=types, orient="row")


def sampled(documents: pl.DataFrame, **options: object) -> tuple[pl.DataFrame, dict]:
    """The plan and its report; by default each document once."""
    defaults = {"weights": {}, "epochs": {}, "quality": [], "budget": None, "seed": 0}
    return subject.sampling_plan(documents, **(defaults | options))


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
    plan, report = sampled(documents, weights=weights, budget=budget, seed=seed)
    assert report["bytes"]["asked"] == (budget or documents["bytes"].sum())
    assert sum(line["asked_bytes"] for line in report["domains"].values()) == report["bytes"]["asked"]
    assert abs(sum(line["asked_share"] for line in report["domains"].values()) - 1) < 1e-5
    used = plan.drop("bytes").join(
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
    plan, report = sampled(table(sizes), seed=seed)
    again, report_again = sampled(table(dict(shuffled)), seed=seed)
    assert plan.equals(again)
    assert report == report_again
    assert len(plan) == sum(map(len, sizes.values()))  # each document once
    assert plan.select("source", "document").is_unique().all()


def test_seeds_and_epochs_differ_and_the_beginning_is_mixed() -> None:
    documents = table({("a", "books"): [100] * 500, ("b", "web"): [100] * 1500})
    plan, report = sampled(documents, weights={"books": 0.5}, budget=300_000)
    other, _ = sampled(documents, weights={"books": 0.5}, budget=300_000, seed=1)
    assert not plan.equals(other)
    assert report["domains"]["books"]["epochs"] == 3.0
    books = plan.filter(pl.col("source") == "a")["document"].to_list()
    assert books[:500] != books[500:1000] != sorted(books[:500])
    assert abs((plan[:100]["source"] == "a").sum() - 50) <= 1


def test_weights() -> None:
    available = {"books": 100, "code": 300, "web": 600}
    assert domain_shares.shares({}, available) == {
        "books": 1 / Fraction(10),
        "code": Fraction(3, 10),
        "web": Fraction(6, 10),
    }
    assert domain_shares.shares({"books": 0.4}, available)["code"] == Fraction(2, 10)
    assert domain_shares.shares({"books": 2, "code": 1, "web": 1}, available)["books"] == Fraction(1, 2)
    assert domain_shares.shares({"web": 0}, available) == {
        "books": Fraction(1, 4),
        "code": Fraction(3, 4),
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
        sampled(table({("a", "books"): [1], ("b", "web"): [1]}), weights=weights)


def test_bad_budgets_and_no_documents() -> None:
    for budget in (0, -1, 1.5, True):
        with pytest.raises(InputError, match=r"mix\.bytes"):
            sampled(table({("a", "books"): [1]}), budget=budget)
    with pytest.raises(InputError, match="no training documents"):
        sampled(table({}))


def test_the_script(tmp_path: Path) -> None:
    for source, domain in (("a", "books"), ("b", "web")):
        (tmp_path / "clean" / source).mkdir(parents=True)
        for part in range(2):
            frame = pl.DataFrame(
                {
                    "domain": domain,
                    "split": ["train", "validation", "train"],
                    "n_bytes": [100] * 3,
                    "quality": [None] * 3,
                },
                schema_overrides={"quality": pl.Float64},
            )
            parquet.write(frame, tmp_path / "clean" / source / f"part-{part:05d}.parquet")
    (tmp_path / "clean" / "manifest.json").write_text("{}")
    figures = mix.main(
        tmp_path / "clean",
        tmp_path / "plan.parquet",
        tmp_path / "report.json",
        settings=MixSettings(weights={"web": 0.75}, bytes=800, seed=0),
    )
    plan = pl.read_parquet(tmp_path / "plan.parquet")
    assert plan.schema == {"source": pl.String, "document": pl.UInt32, "bytes": pl.UInt32}
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


def test_epochs_as_gpt3_gave_them() -> None:
    documents = table({("cc", "web"): [100] * 1000, ("wiki", "encyclopedic"): [100] * 50, ("b", "books"): [100] * 20})
    epochs = {"web": 0.44, "encyclopedic": 3.4}
    plan, report = sampled(documents, epochs=epochs)
    assert {name: line["epochs"] for name, line in report["domains"].items()} == {**epochs, "books": 1.0}
    times = (
        plan.group_by("source", "document")
        .len()
        .group_by("source")
        .agg(n=pl.len(), most=pl.max("len"))
        .sort("source")
        .rows()
    )
    assert times == [("b", 20, 1), ("cc", 440, 1), ("wiki", 50, 4)]
    assert report["bytes"] == {"asked": 63000, "achieved": 63000}
    assert report["domains"]["web"]["asked_share"] == round(44000 / 63000, 6)


@settings(max_examples=60, deadline=None)
@given(
    CORPORA,
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), min_size=1, max_size=3, unique_by=lambda tier: tier[0]),
    st.integers(0, 3),
)
def test_tiers_of_quality(sizes: dict, tiers: list, seed: int) -> None:
    quality = [{"top_fraction": part / 10, "factor": times / 10} for part, times in sorted(tiers)]
    documents = table(sizes)
    quality[0]["factor"] += 0.1
    plan, report = sampled(documents, quality=quality, seed=seed)
    again, _ = sampled(documents.reverse(), quality=quality, seed=seed)
    assert plan.equals(again)
    assert sum(line["asked_bytes"] for line in report["domains"].values()) == report["bytes"]["asked"]
    for domain, line in report["domains"].items():
        own = documents.filter(pl.col("domain") == domain).sort("quality", descending=True)
        total, begin = own["bytes"].sum(), 0
        assert [tier["top_fraction"] for tier in line["tiers"]] == [*(tier["top_fraction"] for tier in quality), 1.0]
        for tier in line["tiers"]:
            mine = own[begin : begin + tier["available_documents"]]
            begin += len(mine)
            assert mine["bytes"].sum() == tier["available_bytes"]
            # as much of the domain as asked for, to within the document that lies across the border
            reached = own[:begin]["bytes"].sum()
            assert tier["top_fraction"] * total - 1e-6 <= reached <= tier["top_fraction"] * total + own["bytes"].max()
            assert abs(tier["asked_bytes"] - tier["factor"] * tier["available_bytes"]) <= 2
            assert 2 * abs(tier["bytes"] - tier["asked_bytes"]) <= (mine["bytes"].max() or 0)
        assert begin == len(own)


def test_the_best_fifth_three_times() -> None:
    documents = table({("a", "web"): list(range(100, 200))})
    plan, report = sampled(documents, quality=[{"top_fraction": 0.2, "factor": 3}])
    times = dict(plan.group_by("document").len().iter_rows())
    best = report["domains"]["web"]["tiers"][0]["available_documents"]
    assert [times[i] for i in range(100)] == [3] * best + [1] * (100 - best)
    assert report["domains"]["web"]["epochs"] > 1.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": {"web": 2}, "weights": {"web": 1}}, "epochs say how much is read, and so do weights"),
        ({"epochs": {"web": 2}, "budget": 5}, "and so do bytes"),
        ({"epochs": {"wbe": 2}}, r"epochs\.wbe: no such domain; known: web"),
        ({"epochs": {"web": -1}}, "0 or more"),
        ({"epochs": {"web": 0}}, "all epochs are 0"),
        ({"quality": [{"top_fraction": 0, "factor": 2}]}, r"quality\[0\]\.top_fraction: 0 must be above 0"),
        ({"quality": [{"top_fraction": 0.5, "factor": 2}] * 2}, r"quality\[1\]\.top_fraction: 0\.5 must be above 0\.5"),
        ({"quality": [{"top_fraction": 0.5, "factor": "2"}]}, "0 or more"),
        ({"quality": [{"top_fraction": 1, "factor": 0}]}, "leave nothing to read"),
        ({"quality": [{"top_fraction": 0.5}]}, "must say top_fraction and factor"),
    ],
)
def test_bad_epochs_and_tiers(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sampled(table({("a", "web"): [1, 2]}), **options)


def test_tiers_need_scores_and_unknown_ones_come_last() -> None:
    documents = table({("a", "web"): [100] * 10})
    tiers = [{"top_fraction": 0.5, "factor": 2}]
    with pytest.raises(InputError, match="no document of domain web has a quality score"):
        sampled(documents.with_columns(quality=pl.lit(None, pl.Float64)), quality=tiers)
    some = documents.with_columns(quality=pl.when(pl.col("document") % 2 == 1).then(0.0))
    plan, _ = sampled(some, quality=tiers)
    assert plan.group_by("document").len().filter(pl.col("len") == 2)["document"].sort().to_list() == [1, 3, 5, 7, 9]


def test_names_as_categories_change_nothing() -> None:
    sizes = {("b", "web"): [5, 7, 9], ("a", "web"): [3, 4], ("c", "books"): [8, 8]}
    documents = table(sizes)
    compact = documents.with_columns(
        pl.col("source").cast(pl.Enum(["a", "b", "c"])), pl.col("domain").cast(pl.Categorical)
    )
    for options in ({}, {"budget": 100, "weights": {"books": 0.5}}):
        assert sampled(documents, **options)[0].equals(sampled(compact, **options)[0])
