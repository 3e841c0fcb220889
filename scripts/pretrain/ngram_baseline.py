"""Measure n-gram models' bits per byte on the validation tokens: the baseline that a trained model must beat."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llm.command import command
from llm.errors import InputError
from llm.io.json import write_json
from llm.process.quality.kneser_ney import train
from llm.progress import progress
from llm.tokenize.indexed import IndexedTokens
from llm.tokenize.open import open_tokenizer

ORDERS = {"unigram": 1, "bigram": 2, "trigram": 3}
DIGITS = 6  # decimals of bits per byte: the last bits of a logarithm differ between processors


def main(tokens: Path, model: Path, report: Path) -> dict:
    """tokens: directory of all token shards. model: tokenizer.model, or a directory with the
    tokenizer. report: JSON to write. Returns the metrics."""
    metas = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(tokens.glob("*/meta.json"))]
    vocab_size = open_tokenizer(model).vocab_size
    shards = {
        split: [IndexedTokens(tokens / meta["source"] / split) for meta in metas] for split in ("train", "validation")
    }
    size = sum(meta["validation"]["bytes"] for meta in metas)
    if not size:
        raise InputError("the validation split is empty: raise process.validation_fraction or add text")
    documents = [text for shard in shards["train"] for text in texts(shard)]
    result: dict = {
        "tokens": sum(meta["validation"]["tokens"] for meta in metas),
        "bytes": size,
        "train_tokens": sum(meta["train"]["tokens"] for meta in metas),
        "per_domain": {},
    }
    domains = sorted({meta["domain"] for meta in metas if meta["validation"]["bytes"]})
    bytes_of = {d: sum(m["validation"]["bytes"] for m in metas if m["domain"] == d) for d in domains}
    for name, order in ORDERS.items():
        language_model = train(documents, order, vocab_size)
        bits = dict.fromkeys(domains, 0.0)
        for meta, shard in zip(metas, shards["validation"], strict=True):
            if len(shard):
                bits[meta["domain"]] += language_model.bits(list(texts(shard)))
        result[name] = round(sum(bits.values()) / size, DIGITS)
        for domain in domains:
            result["per_domain"].setdefault(domain, {"bytes": bytes_of[domain]})[name] = round(
                bits[domain] / bytes_of[domain], DIGITS
            )
        progress(f"{name}: {result[name]:.3f} bits per byte")
    write_json(report, result)
    return result


def texts(shard: IndexedTokens) -> Iterator[np.ndarray]:
    """Yield each document without its [BOS], which every order knows as the beginning, and which costs no bits."""
    for index in range(len(shard)):
        yield shard[index][1:]


if __name__ == "__main__":
    command(main)
