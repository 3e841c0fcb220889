"""Score one source's documents by the reference models: perplexity, quality, toxicity."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from llm.command import command
from llm.io.parquet import parts, read, write
from llm.process.quality import classifier, perplexity, toxicity
from llm.process.quality.cross_fit import HALVES, chunks, hashed
from llm.progress import progress

SCORES = ("perplexity", "quality", "toxicity")
TENTHS = [round(0.1 * i, 1) for i in range(1, 10)]
# Bounds of the histograms' ranges.
BOUNDS: dict[str, list] = {"perplexity": [50, 100, 200, 400, 800, 1600, 3200], "quality": TENTHS, "toxicity": TENTHS}


def main(documents: Path, perplexity_model: Path, quality_model: Path, toxicity_model: Path, scores: Path) -> dict:
    """documents: directory of raw parquet shards. perplexity_model, quality_model, toxicity_model: directories of the
    reference models. scores: empty directory to fill with parquet shards (id and SCORES; null where a document has no
    words or a model is untrained). Returns counts, medians and histograms."""
    models = (perplexity.load(perplexity_model), classifier.load(quality_model), toxicity.load(toxicity_model))
    tables = {}
    size = 0
    for path in parts(documents):
        frame = read(path, ["id", "sha256", "text"]).with_row_index("row")
        scored = pl.concat([score(chunk.filter(half=half), half, models) for chunk in chunks(frame) for half in HALVES])
        tables[path.name] = scored.sort("row").drop("row")
        write(tables[path.name], scores / path.name)
        size += int(frame["text"].str.len_bytes().cast(pl.Int64).sum())
        progress(f"scored {sum(map(len, tables.values())):,} documents, {size / 1e6:.1f} MB")
    table = pl.concat(tables.values())
    return {"documents": len(table), "bytes": size} | summary(table)


def score(frame: pl.DataFrame, half: int, models: tuple) -> pl.DataFrame:
    """Return rows (row, id, SCORES) of documents of one half, in the order given."""
    words, borders, _, _ = hashed(frame["text"])
    by_ngrams, by_quality = (None if pair is None else pair[half] for pair in models[:2])
    by_toxicity = models[2]
    missing = pl.Series(np.full(len(frame), np.nan))
    columns = (
        missing if by_ngrams is None else perplexity.perplexities(by_ngrams, words, borders),
        missing if by_quality is None else classifier.judge(by_quality, words, borders)[:, 0],
        missing if by_toxicity is None else toxicity.judge(by_toxicity, words, borders)[:, 1],
    )
    return frame.select("row", "id").with_columns(
        pl.Series(name, column, dtype=pl.Float64).fill_nan(None) for name, column in zip(SCORES, columns, strict=True)
    )


def summary(table: pl.DataFrame) -> dict:
    """Return {"median": {score: value}, "histogram": {score: {range: documents}}} of the scores that any document
    has."""
    there = [name for name in SCORES if table[name].null_count() < len(table)]
    return {
        "median": {name: median(table[name]) for name in there},
        "histogram": {name: histogram(table[name].drop_nulls(), BOUNDS[name]) for name in there},
    }


def median(values: pl.Series) -> float:
    """Return the median of the known values, to four decimals; there must be one."""
    middle = values.quantile(0.5, "nearest")
    assert middle is not None
    return round(middle, 4)


def histogram(values: pl.Series, bounds: list) -> dict[str, int]:
    """Count the values in each range, whose lower bound belongs to it."""
    names = [f"below {bounds[0]}", *(f"{low} to {high}" for low, high in pairwise(bounds)), f"from {bounds[-1]}"]
    counts = np.bincount(np.searchsorted(bounds, values.to_numpy(), side="right"), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


if __name__ == "__main__":
    command(main)
