"""Encoding speed: our kernels beside sentencepiece's batch encode, tokenizers and tiktoken, interleaved, ids compared.

python benchmarks/tokens.py tokenizer.model part-00000.parquet ... : MB of UTF-8 per second, CPU and wall, medians.
sentencepiece gets whole texts and the same model, with our escape rules and without (documents that hold '▁' then
differ); tokenizers gets tokenizer.json's twin; tiktoken only byte_bpe models.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from llm.tokenizer.bytelevel import PATTERN
from llm.tokenizer.encoder import Encoder
from llm.tokenizer.export import fast_tokenizer
from llm.tokenizer.load import CONTROLS, Tokenizer

ROUNDS = 3
LIMIT = 6_000_000  # bytes of text, an equal share from each shard


def main(model: str, *shards: str) -> None:
    tokenizer = Tokenizer(Path(model))
    texts = [text for shard in shards for text in beginning(shard, LIMIT // len(shards))]
    size = sum(len(text.encode()) for text in texts)
    print(f"{tokenizer.kind}, {tokenizer.vocab_size} ids, {len(texts)} documents, {size / 1e6:.1f} MB")
    for threads in (1, 2):
        run(contenders(tokenizer, threads), texts, size, threads)


def beginning(shard: str, limit: int) -> list[str]:
    texts = pl.read_parquet(shard, columns=["text"])["text"]
    return texts.filter(texts.str.len_bytes().cast(pl.Int64).cum_sum() <= limit).to_list()


def contenders(tokenizer: Tokenizer, threads: int) -> dict[str, Callable[[list[str]], list]]:
    """Name -> a function from texts to the ids of each."""
    encoder = Encoder(tokenizer, threads)
    os.environ["RAYON_NUM_THREADS"] = "1"  # read once: one thread, whichever the others have
    fast = fast_tokenizer(tokenizer)
    result = {"ours": lambda texts: flat(encoder, texts)}
    if tokenizer.processor:
        plain = without_rules(tokenizer.processor)
        result["sentencepiece"] = lambda texts: tokenizer.processor.encode_as_numpy(texts, num_threads=threads)
        result["  without rules"] = lambda texts: plain.encode_as_numpy(texts, num_threads=threads)
    if threads == 1:
        result["tokenizers"] = lambda texts: [found.ids for found in fast.encode_batch_fast(texts)]
    if not tokenizer.processor:
        try:
            import tiktoken
        except ImportError:
            print("tiktoken is not installed here: left out")
            return result
        ranks = {piece: len(CONTROLS) + i for i, piece in enumerate(tokenizer.pieces)}
        tik = tiktoken.Encoding("ours", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
        result["tiktoken"] = lambda texts: tik.encode_ordinary_batch(texts, num_threads=threads)
    return result


def without_rules(processor: sentencepiece.SentencePieceProcessor) -> sentencepiece.SentencePieceProcessor:
    """The same pieces without normalization, so that the peer does not pay for our escapes."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(processor.serialized_model_proto())
    proto.normalizer_spec.precompiled_charsmap = b""
    proto.denormalizer_spec.precompiled_charsmap = b""
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


def flat(encoder: Encoder, texts: list[str]) -> list[np.ndarray]:
    ids, lengths = encoder.encode(*encoder.utf8(texts))
    return [ids[a:b] for a, b in pairwise(np.concatenate([[0], np.cumsum(lengths)]).tolist())]


def run(contenders: dict, texts: list[str], size: int, threads: int) -> None:
    times: dict = {name: [] for name in contenders}
    found: dict = {}
    contenders["ours"](texts[:2])  # compiled
    for _ in range(ROUNDS):
        for name, encode in contenders.items():
            cpu, wall = time.process_time(), time.perf_counter()
            found[name] = encode(texts)
            times[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    ours = [statistics.median(column) for column in zip(*times["ours"], strict=True)]
    for name, rounds in times.items():
        cpu, wall = (statistics.median(column) for column in zip(*rounds, strict=True))
        differ = sum(list(a) != list(b) for a, b in zip(found[name], found["ours"], strict=True))
        print(
            f"{threads} threads  {name:14} {size / cpu / 1e6:7.1f} MB per CPU second  {size / wall / 1e6:6.1f} MB/s"
            f"  ours is {cpu / ours[0]:5.1f} and {wall / ours[1]:5.1f} times as fast  {differ} documents differ"
        )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
