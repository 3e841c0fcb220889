"""Measures fertility (tokens per word, bytes per token) on validation documents (Rust et al. 2021)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from llm.io.parquet import parts, read
from llm.tokenize.documents import BATCH
from llm.tokenize.encoder import Encoder

COUNTS = ("documents", "bytes", "words", "tokens", "gpt2_tokens")


def counted(source: Path, encoder: Encoder, rival_lengths: Callable[[list[str]], np.ndarray]) -> pl.DataFrame:
    """Return `domain`, `language` and COUNTS of a source's validation documents, summed. rival_lengths: gives for texts
    the number of tokens that the other tokenizer makes of each. Words are what blanks separate."""
    tables = [pl.DataFrame(schema={"domain": pl.String, "language": pl.String} | dict.fromkeys(COUNTS, pl.Int64))]
    for part in parts(source):
        named = ["language"] if "language" in pl.read_parquet_schema(part) else []
        frame = read(part, ["text", "split", "domain", *named]).filter(pl.col("split") == "validation")
        group = (frame["text"].str.len_bytes().cast(pl.Int64).cum_sum() // BATCH).alias("group")
        for batch in frame.with_columns(group).partition_by("group", maintain_order=True):
            texts = batch["text"].to_list()
            _, lengths = encoder.encode(*encoder.utf8(texts))
            language = pl.col("language").fill_null("unknown") if named else pl.lit("unknown").alias("language")
            rows = batch.select(
                "domain",
                language,
                pl.lit(1, pl.Int64).alias("documents"),
                pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes"),
                pl.col("text").str.count_matches(r"\S+").cast(pl.Int64).alias("words"),
                pl.Series("tokens", lengths),
                pl.Series("gpt2_tokens", rival_lengths(texts), pl.Int64),
            )
            tables.append(rows.group_by("domain", "language").sum())
    return pl.concat(tables)


def summary(counts: pl.DataFrame) -> dict:
    """Return `all`, and by name in `domains` and `languages`: the counts and their ratios, rounded."""
    return {
        "all": ratios(counts.select(pl.col(COUNTS).sum()).row(0, named=True)),
        "domains": grouped(counts, "domain"),
        "languages": grouped(counts, "language"),
    }


def grouped(counts: pl.DataFrame, key: str) -> dict[str, dict]:
    rows = counts.group_by(key).agg(pl.col(COUNTS).sum()).sort(key)
    return {row.pop(key): ratios(row) for row in rows.iter_rows(named=True)}


def ratios(count: dict[str, int]) -> dict:
    words = max(1, count["words"])
    return count | {
        "bytes_per_token": round(count["bytes"] / max(1, count["tokens"]), 4),
        "tokens_per_word": round(count["tokens"] / words, 4),
        "gpt2_bytes_per_token": round(count["bytes"] / max(1, count["gpt2_tokens"]), 4),
        "gpt2_tokens_per_word": round(count["gpt2_tokens"] / words, 4),
        "bytes_per_word": round(count["bytes"] / words, 4),
    }
