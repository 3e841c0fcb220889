"""The scores of a source: by the models of the other half, in the documents' order, null where there is no model."""

from pathlib import Path

import polars as pl
import pytest

from llm.process.quality import classifier, perplexity, toxicity
from llm.process.quality.cross_fit import HALF, hashed
from llm.process.settings.perplexity_model import PerplexitySettings
from llm.process.settings.quality_model import QualitySettings
from llm.process.settings.toxicity_model import ToxicitySettings
from scripts.process.perplexity_model import main as perplexity_model
from scripts.process.quality_model import main as quality_model
from scripts.process.score import SCORES
from scripts.process.score import main as score
from scripts.process.toxicity_model import main as toxicity_model
from tests.llm.process.quality.test_classifier import BAD, GOOD, texts_of
from tests.llm.process.quality.test_perplexity import OPTIONS, write_raw

LABELS = {"source": "", "file": "a.csv", "include": [], "text": "text", "label": "label"}


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    good, bad = (
        write_raw(tmp_path / n, texts_of(i, 80, own)) for i, (n, own) in enumerate((("good", GOOD), ("bad", BAD)))
    )
    directories = [tmp_path / name for name in SCORES]
    for directory in directories:
        directory.mkdir()
    perplexity_model(directories[0], [good], settings=PerplexitySettings(**OPTIONS))
    quality_model(directories[1], [good], [bad], settings=QualitySettings(sample_bytes=1 << 20, seed=1))
    rows = [f"{i % 2},{text}" for i, text in enumerate(texts_of(5, 50, GOOD))]
    (tmp_path / "a.csv").write_text("\n".join(["label,text", *rows]))
    toxicity_model(
        directories[2], tmp_path / "a.csv", settings=ToxicitySettings(**LABELS, sample_bytes=1 << 20, seed=1)
    )
    return directories


def scored(tmp_path: Path, texts: list[str], models: list[Path], shards: int = 1) -> tuple[pl.DataFrame, dict]:
    raw = write_raw(tmp_path / f"raw-{shards}", texts, shards)
    output = tmp_path / f"scores-{shards}"
    output.mkdir()
    metrics = score(raw, *models, output)
    assert [path.name for path in sorted(output.iterdir())] == [path.name for path in sorted(raw.iterdir())]
    return pl.concat([pl.read_parquet(path) for path in sorted(output.iterdir())]), metrics


def test_each_document_has_the_scores_of_the_other_halfs_models(tmp_path: Path, models: list[Path]) -> None:
    texts = [*texts_of(7, 60, GOOD), "", "…", *texts_of(8, 40, BAD)]
    table, metrics = scored(tmp_path, texts, models)
    raw = pl.read_parquet(tmp_path / "raw-1/part-00000.parquet").with_columns(HALF)
    assert table["id"].to_list() == raw["id"].to_list()
    assert table.columns == ["id", *SCORES]
    loaded = perplexity.load(models[0]), classifier.load(models[1]), toxicity.load(models[2])
    for (text, half), row in zip(raw.select("text", "half").iter_rows(), table.iter_rows(named=True), strict=True):
        words, borders, _, _ = hashed(pl.Series([text]))
        if not text:
            assert row["perplexity"] is row["quality"] is row["toxicity"] is None
            continue
        assert row["perplexity"] == perplexity.perplexities(loaded[0][half], words, borders)[0]
        assert row["quality"] == classifier.judge(loaded[1][half], words, borders)[0, 0]
        assert row["toxicity"] == toxicity.judge(loaded[2], words, borders)[0, 1]
    assert table[:60]["quality"].mean() > 0.7 > 0.3 > table[62:]["quality"].mean()
    assert metrics["documents"] == len(texts)
    assert metrics["median"]["quality"] == pytest.approx(table["quality"].quantile(0.5, "nearest"), abs=1e-4)
    assert metrics["histogram"]["quality"]["from 0.9"] == (table["quality"] >= 0.9).sum()
    assert metrics["histogram"]["perplexity"]["50 to 100"] == table["perplexity"].is_between(50, 100, "left").sum()
    assert [sum(counts.values()) for counts in metrics["histogram"].values()] == [len(texts) - 1] * 3


def test_shards_change_no_score(tmp_path: Path, models: list[Path]) -> None:
    texts = texts_of(9, 70, BAD)
    assert scored(tmp_path, texts, models)[0].equals(scored(tmp_path, texts, models, shards=4)[0])


def test_without_models_scores_are_null(tmp_path: Path) -> None:
    models = [tmp_path / name for name in SCORES]
    for model in models:
        model.mkdir()
    perplexity_model(models[0], settings=PerplexitySettings(**OPTIONS))
    quality_model(models[1], settings=QualitySettings(sample_bytes=1000, seed=1))
    toxicity_model(models[2], settings=ToxicitySettings(**LABELS, sample_bytes=1000, seed=1))
    table, metrics = scored(tmp_path, ["some text", "more text"], models)
    assert table.select(SCORES).null_count().row(0) == (2, 2, 2)
    assert table.schema == pl.Schema({"id": pl.String} | dict.fromkeys(SCORES, pl.Float64))
    assert metrics["median"] == metrics["histogram"] == {}
