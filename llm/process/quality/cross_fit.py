"""Cross-fitting of the reference models: which documents they learn from, and which half each document is in.

A reference model is two models. A text's half depends on its sha256 alone; model h learns from the texts that are not
in half h and judges those that are. So no text, and no exact copy of it, is judged by a model that has read it, and
figures on the training data are unbiased.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from kernels.words import words
from llm.io.parquet import parts, read

HALVES = (0, 1)
CHUNK = 1 << 23  # bytes of text in memory, with all that is computed from them
HALF = pl.col("sha256").str.tail(1).is_in(list("13579bdf")).cast(pl.Int8).alias("half")


def sample(sources: list[Path], limit: int) -> Iterator[pl.DataFrame]:
    """Yield documents (sha256, half, text) of raw directories, chunk by chunk. Of more than `limit` bytes it is an even
    share of the documents that comes to about `limit`, chosen by digest."""
    shards = [path for source in sources for path in parts(source)]
    total = sum(int(read(path, ["text"])["text"].str.len_bytes().cast(pl.Int64).sum()) for path in shards)
    share = f"{min(int(limit / max(total, 1) * (1 << 32)), (1 << 32) - 1):08x}"
    for path in shards:
        for frame in chunks(read(path, ["sha256", "text"])):
            yield frame.filter(pl.col("sha256").str.head(8) <= share)


def chunks(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the frame (sha256, text, ...) with the column `half`, in parts of at most CHUNK bytes of text, or of one
    longer document; at least one part."""
    frame = frame.with_columns(HALF)
    ends = frame["text"].str.len_bytes().cast(pl.Int64).cum_sum().to_numpy()
    begin = 0
    while True:
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + CHUNK, side="right")))
        yield frame[begin:end]
        begin = end
        if begin >= len(frame):
            return


def hashed(texts: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray, bytes]:
    """Return the words of texts, see kernels.words.words, and the bytes that their spans point into."""
    data = "".join(texts.to_list()).encode()
    offsets = np.concatenate([[0], np.cumsum(texts.str.len_bytes().cast(pl.Int64).to_numpy())]).astype(np.int64)
    return *words(np.frombuffer(data, np.uint8), offsets), data
