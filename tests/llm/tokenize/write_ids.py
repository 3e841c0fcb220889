"""Writes token shards from arrays of ids, for tests and benchmarks: `encode` writes them shard by shard."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from llm.tokenize.indexed import IndexedWriter


def write_indexed(path_without_suffix: Path, documents: Iterable[np.ndarray], dtype: np.dtype | type) -> int:
    """Write `documents`, one id array each; return the number of tokens. InputError for an id that `dtype` cannot
    hold."""
    with IndexedWriter(path_without_suffix, dtype) as writer:
        for document in documents:
            ids = np.asarray(document)
            writer.append(ids, np.array([ids.size], np.int64))
    return writer.tokens
