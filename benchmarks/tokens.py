"""Encoding speed: our kernels beside sentencepiece's batch encode, tokenizers and tiktoken, in turns, ids compared.

    make peers && python benchmarks/tokens.py tokenizer.model part-00000.parquet ...

MB of UTF-8 per CPU second, medians. sentencepiece gets whole texts and the same model; tokenizers gets tokenizer.json's
twin, and one thread; tiktoken, in the peers' environment, gets byte_bpe models only.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from benchmarks import peers
from benchmarks.compare import Row, in_turns, show, size_of, timed
from llm.tokenize.byte_level import PATTERN
from llm.tokenize.encoder import Encoder
from llm.tokenize.export import fast_tokenizer
from llm.tokenize.load import CONTROLS, Tokenizer

ROUNDS = 3
WITHOUT_RULES = "sentencepiece, no escapes"
LIMIT = 6_000_000  # bytes of text, an equal share from each shard


def main(model: str, *shards: str) -> None:
    tokenizer = Tokenizer(Path(model))
    texts = pl.concat([beginning(shard, LIMIT // len(shards)) for shard in shards])
    print(f"{tokenizer.vocab_size:,} ids, {len(texts):,} documents, {size_of(texts) / 1e6:.1f} MB")
    show(measure(tokenizer, texts, ROUNDS, others=True))


def beginning(shard: str, limit: int) -> pl.Series:
    texts = pl.read_parquet(shard, columns=["text"])["text"]
    return texts.filter(texts.str.len_bytes().cast(pl.Int64).cum_sum() <= limit)


def measure(tokenizer: Tokenizer, texts: pl.Series, rounds: int, *, others: bool = False) -> list[Row]:
    """Beside sentencepiece's batch encode with one thread and with two; `others`: and beside all others."""
    size, documents, rows = size_of(texts), texts.to_list(), []
    for threads in (1, 2):
        encoders = {"ours": partial(flat, Encoder(tokenizer, threads))} | sentencepiece(tokenizer, threads)
        if others and threads == 1:
            encoders |= tokenizers(tokenizer)
        found = {name: encode(documents) for name, encode in encoders.items()}  # compiles, too
        contenders = [(size, timed(name, partial(encode, documents))) for name, encode in encoders.items()]
        with tempfile.TemporaryDirectory() as name:
            ids = Path(name, "ids.parquet")
            if others and not tokenizer.processor and not peers.missing():
                contenders.append((size, tiktoken(tokenizer, texts, threads, ids)))
            speeds = in_turns(contenders, rounds)
            if ids.exists():
                found["tiktoken"] = pl.read_parquet(ids)["ids"].to_list()
        ours, step = speeds.pop("ours"), f"tokenize, {tokenizer.kind}, threads: {threads}"
        for peer, theirs in speeds.items():
            differ = sum(list(a) != list(b) for a, b in zip(found["ours"], found[peer], strict=True))
            note = f"ids differ in {differ:,} of {len(texts):,} documents"
            right = peer == WITHOUT_RULES or not differ
            rows.append(Row(step, ours, peer, theirs, times=2 * (peer == "sentencepiece"), note=note, right=right))
        if not speeds:
            rows.append(Row(step, ours))
    return rows


def flat(encoder: Encoder, texts: list[str]) -> list[np.ndarray]:
    ids, lengths = encoder.encode(*encoder.utf8(texts))
    return [ids[a:b] for a, b in pairwise(np.concatenate([[0], np.cumsum(lengths)]).tolist())]


def sentencepiece(tokenizer: Tokenizer, threads: int) -> dict[str, Callable[[list[str]], list]]:
    """Name -> a function from texts to the ids of each; none for byte_bpe. Once more without our escape rules, so that
    the peer does not pay for them: the ids of documents that hold '▁' differ then."""
    if not tokenizer.processor:
        return {}
    proto = sentencepiece_model_pb2.ModelProto.FromString(tokenizer.processor.serialized_model_proto())
    proto.normalizer_spec.precompiled_charsmap = b""
    proto.denormalizer_spec.precompiled_charsmap = b""
    plain = SentencePieceProcessor(model_proto=proto.SerializeToString())
    models = {"sentencepiece": tokenizer.processor, WITHOUT_RULES: plain}
    return {name: partial(model.encode_as_numpy, num_threads=threads) for name, model in models.items()}


def tokenizers(tokenizer: Tokenizer) -> dict[str, Callable[[list[str]], list]]:
    os.environ["RAYON_NUM_THREADS"] = "1"  # read once, at the first batch
    fast = fast_tokenizer(tokenizer)
    return {"tokenizers": lambda texts: [found.ids for found in fast.encode_batch_fast(texts)]}


def tiktoken(tokenizer: Tokenizer, texts: pl.Series, threads: int, ids: Path) -> peers.Work:
    """Files for the peer beside `ids`, which it writes."""
    ranks = {piece.hex(): len(CONTROLS) + i for i, piece in enumerate(tokenizer.pieces)}
    settings, file = ids.with_name("settings.json"), ids.with_name("texts.parquet")
    settings.write_text(json.dumps({"pattern": PATTERN, "ranks": ranks, "threads": threads}))
    texts.alias("text").to_frame().write_parquet(file)
    return peers.work("tiktoken", settings, file, ids)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
