"""Encode one source's clean documents into Megatron token shards. Neither shuffles nor packs.

Not called tokenize.py: beside a script of that name Python's own `tokenize` could not be imported.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llm.command import command
from llm.tokenizer.documents import SPLITS, domain_of, split_batches
from llm.tokenizer.indexed import token_dtype, write_indexed
from llm.tokenizer.load import Tokenizer, threads_given


def main(shards: Path, model: Path, tokens: Path, *, source: str) -> dict:
    """shards: clean shards of `source`. model: tokenizer.model. tokens: empty directory. Returns the metrics."""
    tokenizer = Tokenizer(model)
    started = time.perf_counter()
    meta: dict = {"source": source, "domain": domain_of(shards)}
    for split in SPLITS:
        counts = {"documents": 0, "bytes": 0}
        documents = encoded(tokenizer, shards, split, counts)
        total = write_indexed(tokens / split, documents, token_dtype(tokenizer.vocab_size))
        meta[split] = counts | {"tokens": total}
    text = json.dumps(meta, indent=2, sort_keys=True, ensure_ascii=False)
    (tokens / "meta.json").write_text(text + "\n", encoding="utf-8")
    seconds = time.perf_counter() - started
    size = sum(meta[split]["bytes"] for split in SPLITS)
    return meta | {"seconds": seconds, "bytes_per_second": size / max(seconds, 1e-9)}


def encoded(tokenizer: Tokenizer, shards: Path, split: str, counts: dict) -> Iterator[np.ndarray]:
    """Each document's ids and [EOS]; counts documents and UTF-8 bytes on the way."""
    end = np.array([tokenizer.eos], np.int32)
    for texts in split_batches(shards, split):
        counts["documents"] += len(texts)
        counts["bytes"] += sum(len(text.encode()) for text in texts)
        for ids in tokenizer.encode_arrays(texts, threads_given()):
            yield np.concatenate([ids, end])


if __name__ == "__main__":
    command(main)
