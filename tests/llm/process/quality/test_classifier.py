"""Classifiers of documents: they learn what can be learned, say so honestly, and nothing else sways them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.process.quality import classifier
from llm.process.quality.cross_fit import hashed
from llm.process.settings.quality_model import QualitySettings
from scripts.process.quality_model import main as quality_model
from tests.llm.process.quality.test_perplexity import write_raw

OPTIONS = {"sample_bytes": 1 << 20, "seed": 1}
COMMON = [f"word{chr(97 + i)}" for i in range(26)]
GOOD, BAD = ["theorem", "proof", "lemma", "history"], ["click", "buy", "cheap", "wow"]


def texts_of(seed: int, n: int, own: list[str], longest: int = 60) -> list[str]:
    """Documents of common words with one in six of its own."""
    random = np.random.Generator(np.random.PCG64(seed))
    texts = []
    for size in random.integers(8, longest, n):
        pool = [own if random.random() < 1 / 6 else COMMON for _ in range(size)]
        texts.append(" ".join(words[random.integers(len(words))] for words in pool))
    return texts


def trained(directory: Path, good: list[str], bad: list[str], **options) -> dict:
    sources = [[write_raw(directory / name, texts)] for name, texts in (("good", good), ("bad", bad))]
    (directory / "model").mkdir()
    return quality_model(directory / "model", *sources, settings=QualitySettings(**OPTIONS | options))


def judge(directory: Path, texts: list[str]) -> np.ndarray:
    words, borders, _, _ = hashed(pl.Series(texts))
    return classifier.judge(classifier.load(directory / "model")[0], words, borders)[:, 0]


def test_learns_what_sets_the_classes_apart(tmp_path: Path) -> None:
    meta = trained(tmp_path, texts_of(0, 400, GOOD), texts_of(1, 400, BAD))
    assert meta["auc"] > 0.98
    assert meta["accuracy"] > 0.9
    assert meta["auc_of_length"] < 0.6
    judged = judge(tmp_path, ["a theorem and its proof", "click here, buy cheap", "", "worda wordb wordc"])
    assert judged[0] > 0.9
    assert judged[1] < 0.1
    assert np.isnan(judged[2])
    assert ((judged[[0, 1, 3]] >= 0) & (judged[[0, 1, 3]] <= 1)).all()


def test_figures_are_of_unseen_documents(tmp_path: Path) -> None:
    """Classes that differ by chance alone: whoever had read the documents would tell them apart perfectly."""
    meta = trained(tmp_path, texts_of(2, 300, GOOD), texts_of(3, 300, GOOD))
    assert 0.4 < meta["auc"] < 0.6


def test_length_is_no_signal(tmp_path: Path) -> None:
    meta = trained(tmp_path, texts_of(4, 300, COMMON, longest=400), texts_of(5, 300, COMMON, longest=20))
    assert meta["auc_of_length"] > 0.9
    assert 0.35 < meta["auc"] < 0.65


def test_a_large_class_does_not_win_by_its_size(tmp_path: Path) -> None:
    trained(tmp_path, texts_of(6, 60, GOOD), texts_of(7, 1500, BAD))
    assert 0.2 < judge(tmp_path, [" ".join(COMMON) * 3])[0] < 0.8


def test_shards_change_nothing_but_the_seed_does(tmp_path: Path) -> None:
    good, bad = texts_of(8, 80, GOOD), texts_of(9, 80, BAD)
    weights = []
    for name, shards, seed in (("a", 1, 1), ("b", 3, 1), ("c", 1, 2)):
        sources = [[write_raw(tmp_path / name / side, some, shards)] for side, some in (("good", good), ("bad", bad))]
        (tmp_path / name / "model").mkdir()
        quality_model(tmp_path / name / "model", *sources, settings=QualitySettings(**OPTIONS | {"seed": seed}))
        weights.append((tmp_path / name / "model/model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize(
    "sides", [(None, None), (["a b"] * 3, None), (None, ["a b", "c d"]), (["only"], ["one", "each"])]
)
def test_one_class_is_said_and_no_model_written(tmp_path: Path, sides: tuple) -> None:
    (tmp_path / "model").mkdir()
    sources = [side and [write_raw(tmp_path / str(i), side)] for i, side in enumerate(sides)]
    meta = quality_model(tmp_path / "model", *sources, settings=QualitySettings(**OPTIONS))
    assert meta == json.loads((tmp_path / "model/meta.json").read_text()) == {"window": 128, "trained": False}
    assert classifier.load(tmp_path / "model") is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auc_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    positive, negative = ([value for value, label in rows if label is side] for side in (True, False))
    if not positive or not negative:
        return
    won = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    values, labels = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    assert classifier.auc(values, labels) == pytest.approx(won / len(positive) / len(negative))
