"""Annotate one source's documents with every signal, language and PII spans. Filters nothing."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.progress import progress
from llm.text import shards
from llm.text.language import languages
from llm.text.pii import spans_of
from llm.text.signals import chunks, signals
from llm.text.spans import span_lists

CHUNK = 1 << 23  # bytes of text in memory with all that is computed from them


def main(documents: Path, annotations: Path) -> dict:
    """documents: directory of raw parquet shards. annotations: empty directory to fill, one shard for each."""
    n = n_bytes = 0
    for path in shards.parts(documents):
        frame = shards.read(path, ["id", "sha256", "text"])
        sizes = frame["text"].str.len_bytes().to_list()
        tables = [annotate(frame[begin:end]) for begin, end in chunks(sizes, CHUNK)]
        shards.write(pl.concat(tables), annotations / path.name)
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
