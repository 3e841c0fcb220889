"""Encode one source's clean documents as Megatron token shards, in order, each between [BOS] and [EOS].

It is not called tokenize.py, because beside a script of that name Python's own `tokenize` could not be imported.
"""

import time
from pathlib import Path

from llm.command import command
from llm.io.json import write_json
from llm.tokenize.documents import SPLITS, domain_of, split_batches
from llm.tokenize.encoder import encoder_of
from llm.tokenize.indexed import IndexedWriter, token_dtype
from llm.tokenize.load import threads_given
from llm.tokenize.open import open_tokenizer


def main(shards: Path, model: Path, tokens: Path, *, source: str) -> dict:
    """shards: clean shards of `source`. model: tokenizer.model, or a directory with
    a tokenizer. tokens: empty directory. Returns the metrics."""
    tokenizer = open_tokenizer(model)
    started = time.perf_counter()
    meta: dict = {"source": source, "domain": domain_of(shards)}
    encoder = encoder_of(tokenizer, threads_given())
    bos = -1 if tokenizer.bos is None else tokenizer.bos
    for split in SPLITS:
        size = 0
        with IndexedWriter(tokens / split, token_dtype(tokenizer.vocab_size)) as writer:
            for texts in split_batches(shards, split):
                data, offsets = encoder.utf8(texts)
                size += len(data)
                writer.append(*encoder.encode(data, offsets, bos, tokenizer.eos))
        meta[split] = {"documents": writer.documents, "bytes": size, "tokens": writer.tokens}
    write_json(tokens / "meta.json", meta)
    seconds = time.perf_counter() - started
    size = sum(meta[split]["bytes"] for split in SPLITS)
    return meta | {"seconds": seconds, "bytes_per_second": size / max(seconds, 1e-9)}


if __name__ == "__main__":
    command(main)
