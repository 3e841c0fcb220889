"""Annotate one source's documents with every signal, language, PII spans and MinHash signature. Filters nothing."""

from pathlib import Path

import polars as pl

from kernels.minhash import coefficients, signatures
from llm.command import command
from llm.progress import progress
from llm.text import shards
from llm.text.buffers import utf8
from llm.text.language import languages
from llm.text.pii import spans_of
from llm.text.signals import chunks, signals
from llm.text.spans import span_lists

CHUNK = 1 << 23  # bytes of text in memory with all that is computed from them


def main(documents: Path, annotations: Path, *, permutations: int = 112, shingle_words: int = 5, seed: int = 0) -> dict:
    """documents: directory of raw parquet shards. annotations: empty directory to fill, one shard for each.
    permutations, shingle_words, seed: of the MinHash signatures. Returns the metrics."""
    factors = coefficients(permutations, seed)
    n = n_bytes = 0
    for path in shards.parts(documents):
        frame = shards.read(path, ["id", "sha256", "text"])
        sizes = frame["text"].str.len_bytes().to_list()
        tables = [annotate(frame[begin:end], factors, shingle_words) for begin, end in chunks(sizes, CHUNK)]
        shards.write(pl.concat(tables), annotations / path.name)
        n += len(frame)
        n_bytes += sum(sizes)
        progress(f"annotated {n:,} documents, {n_bytes / 1e6:.1f} MB")
    return {"documents": n, "bytes": n_bytes}


def annotate(frame: pl.DataFrame, factors: tuple, shingle_words: int) -> pl.DataFrame:
    texts = frame["text"].to_list()
    codes, scores = languages(texts)
    signature = signatures(*utf8(frame["text"]), *factors, shingle_words)
    return frame.select("id", "sha256").with_columns(
        pl.Series("language", codes, dtype=pl.String),
        pl.Series("language_score", scores, dtype=pl.Float64),
        *(pl.Series(name, values) for name, values in signals(frame["text"]).items()),
        pl.Series("signature", signature, dtype=pl.Array(pl.UInt32, len(factors[0]))),
        span_lists(spans_of(frame["text"])).alias("pii"),
    )


if __name__ == "__main__":
    command(main)
