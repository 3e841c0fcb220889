"""Annotate one source's documents with every signal, their language and PII spans."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.io import parquet
from llm.process.pii.find import spans_of
from llm.process.pii.spans import span_lists
from llm.process.quality.language import languages
from llm.process.quality.signals import chunks, signals
from llm.progress import progress

CHUNK = 1 << 23  # bytes of text in memory, with all that is computed from them


def main(documents: Path, annotations: Path) -> dict:
    """documents: directory of raw parquet shards. annotations: empty directory to fill, one shard for each."""
    n = n_bytes = 0
    for path in parquet.parts(documents):
        frame = parquet.read(path, ["id", "sha256", "text"])
        sizes = frame["text"].str.len_bytes().to_list()
        tables = [annotate(frame[begin:end]) for begin, end in chunks(sizes, CHUNK)]
        parquet.write(pl.concat(tables), annotations / path.name)
        n += len(frame)
        n_bytes += sum(sizes)
        progress(f"annotated {n:,} documents, {n_bytes / 1e6:.1f} MB")
    return {"documents": n, "bytes": n_bytes}


def annotate(frame: pl.DataFrame) -> pl.DataFrame:
    texts = frame["text"].to_list()
    codes, scores = languages(texts)
    return frame.select("id", "sha256").with_columns(
        pl.Series("language", codes, dtype=pl.String),
        pl.Series("language_score", scores, dtype=pl.Float64),
        *(pl.Series(name, values) for name, values in signals(frame["text"]).items()),
        span_lists(spans_of(frame["text"])).alias("pii"),
    )


if __name__ == "__main__":
    command(main)
