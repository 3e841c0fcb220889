"""How the poster's figures and sentences are made of an artifact's metrics."""

from types import SimpleNamespace

import pytest

from stemma.base.wording import scaled
from stemma.report.poster import drawn
from stemma.report.samples import rows_at
from stemma.report.values import figures, natural, notes


def artifact(target: str, **metrics: object) -> SimpleNamespace:
    return SimpleNamespace(target=target, metrics=metrics, params={}, usage={}, size=1)


def test_counts_say_why():
    found = [artifact("clean", dropped={"near_duplicate": 18, "n_words_min": 60})]
    spec = {"label": "dropped", "of": "clean", "value": "metrics.dropped", "as": "counts"}
    assert figures(found, [spec]) == [("dropped", "n words min 60, near duplicate 18")]
    assert figures([artifact("clean", dropped={})], [spec]) == [("dropped", "none")]
    many = artifact("clean", dropped={f"reason_{number}": number for number in range(1, 8)})
    assert figures([many], [spec]) == [("dropped", "reason 7 7, reason 6 6, reason 5 5, reason 4 4, others 6")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(488_250_499_992, "488.3 GFLOP/s"), (999, "999 FLOP/s"), (1_000, "1 kFLOP/s"), (2.5e21, "2,500 EFLOP/s")],
)
def test_large_numbers_have_units(value, text):
    spec = {"label": "peak", "of": "step", "value": "metrics.peak", "as": "scaled", "unit": "FLOP/s"}
    assert figures([artifact("step", peak=value)], [spec]) == [("peak", text)]
    assert scaled(value) + "FLOP/s" == text


@pytest.mark.parametrize(("ours", "said"), [(2.5, True), (2.0, True), (1.9, False)])
def test_a_note_is_said_where_it_holds(ours, said):
    """E.g. that a model is no better than a trigram; not where one of both figures is missing."""
    spec = {
        "text": "{0} is not below {1}",
        "of": "step-*",
        "value": "metrics.bits",
        "beside": {"of": "ngram", "value": "metrics.trigram"},
    }
    pair = [artifact("step-1", bits=9.0), artifact("step-2", bits=ours), artifact("ngram", trigram=2.0)]
    assert notes(pair, [spec]) == [f"{ours:g} is not below 2"] * said
    assert notes(pair[:2], [spec]) == []


def test_names_sort_by_their_numbers():
    """A power is a digit and no number."""
    assert sorted(["step-1000", "step-500", "step-5²6"], key=natural) == ["step-5²6", "step-500", "step-1000"]


def test_a_standard_error_stands_behind_its_value():
    """In figures and in the cells of tables, in the value's own form; without one the value stands alone."""
    models = [artifact("a", stage="a", rate=0.25, error=0.05), artifact("b", stage="b", rate=0.5), artifact("c")]
    cell = {"value": "metrics.rate", "error": "metrics.error", "as": "percent"}
    assert figures(models[:1], [{"label": "rate", "of": "*", **cell}]) == [("rate", "25.0 % ± 5.0 %")]
    assert figures(
        [artifact("a", loss=4.5112, error=0.04385)],
        [{"label": "loss", "of": "*", "value": "metrics.loss", "error": "metrics.error"}],
    ) == [("loss", "4.511 ± 0.044")]
    spec = {"kind": "table", "title": "t", "of": "*", "by": "metrics.stage", "columns": [{"label": "rate", **cell}]}
    [plot] = drawn(models, spec)
    assert plot["rows"] == [("a", ["25.0 % ± 5.0 %"]), ("b", ["50.0 %"])]


def test_samples_are_rows_of_a_list_within_an_artifact():
    told = artifact("sft", rows=[{"b": "two", "a": "one", "c": ""}, "no row", {"a": "three"}])
    assert rows_at(told, "metrics.rows", ["a", "c", "b"], 3) == [[("a", "one"), ("b", "two")], [("a", "three")]]
    assert rows_at(told, "metrics.absent", [], 3) == rows_at(artifact("x", rows=7), "metrics.rows", [], 3) == []
