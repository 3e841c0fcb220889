"""Stretches of text that stand in an earlier document, or earlier in the same: found by their windows, and cut out.

After Lee et al. 2022 (Deduplicating Training Data Makes Language Models Better), whose suffix array holds the corpus in
memory; here only the windows of kernels/windows.py are compared, which N jobs can do, each for a range of keys
(llm/text/shuffle.py). "Earlier" is by the name of the document (llm/text/candidates.py), then by place, so it depends
on no order of sources or shards. Spans are in characters. Not wired into a rule yet.
"""

import numpy as np
import polars as pl

from kernels.windows import windows
from llm.text.buffers import utf8


def entries(names: np.ndarray, texts: pl.Series, min_bytes: int) -> pl.DataFrame:
    """The windows of at least `min_bytes` of each document: `key`, `name` (UInt64), `start` and `end` in characters.

    names u64 [n], unique: documents with equal texts count once, and only those that stay should be asked about.
    """
    key, owner, start, end = windows(*utf8(texts), min_bytes)
    return pl.DataFrame({"key": key, "name": names[owner], "start": start, "end": end})


def repeated(table: pl.DataFrame) -> pl.DataFrame:
    """The windows (`name`, `start`, `end`) whose key an earlier one has. table: all entries of each key."""
    ordered = table.sort("key", "name", "start")
    return ordered.filter(~pl.col("key").is_first_distinct()).select("name", "start", "end")


def spans(found: pl.DataFrame) -> pl.DataFrame:
    """Windows joined where they touch: `name`, `spans` (list of start and end, ascending), in the order of names."""
    ordered = found.sort("name", "start", "end").with_columns(
        reach=pl.col("end").cum_max().over("name").shift(1).over("name")
    )
    ordered = ordered.with_columns(group=(pl.col("start") > pl.col("reach")).fill_null(True).cum_sum())
    joined = ordered.group_by("group", maintain_order=True).agg(
        pl.col("name").first(), pl.col("start").first(), pl.col("end").max()
    )
    return joined.group_by("name", maintain_order=True).agg(spans=pl.struct("start", "end"))


def remove(text: str, spans: list[dict]) -> str:
    """The text without the spans (start and end in characters, ascending, apart)."""
    edges = [0, *(edge for span in spans for edge in (span["start"], span["end"])), len(text)]
    return "".join(text[begin:end] for begin, end in zip(edges[0::2], edges[1::2], strict=True))
