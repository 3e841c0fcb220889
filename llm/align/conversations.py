"""Reads conversations and preference pairs from JSON Lines files, and encodes them for training."""

from pathlib import Path

import numpy as np

from llm.align.batches import Example, Pair
from llm.align.records import read_jsonl
from llm.errors import InputError
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import AnyTokenizer


def read_examples(path: Path, tokenizer: AnyTokenizer, max_tokens: int) -> tuple[list[Example], int]:
    """Return the encoded instructions, and how many were left out because they have more than `max_tokens` tokens."""
    examples = [encode_example(tokenizer, row["messages"], row["kind"]) for row in read_jsonl(path)]
    fitting = [example for example in examples if len(example.ids) <= max_tokens]
    return require(fitting, path, max_tokens), len(examples) - len(fitting)


def read_pairs(path: Path, tokenizer: AnyTokenizer, max_tokens: int) -> tuple[list[Pair], int]:
    """Return the encoded pairs, and how many were left out because a side has more than `max_tokens` tokens."""
    pairs = [encode_pair(tokenizer, row) for row in read_jsonl(path)]
    fitting = [pair for pair in pairs if max(len(pair.chosen.ids), len(pair.rejected.ids)) <= max_tokens]
    return require(fitting, path, max_tokens), len(pairs) - len(fitting)


def require(fitting: list, path: Path, max_tokens: int) -> list:
    """Return `fitting`. Raises InputError if nothing is left to learn from."""
    if not fitting:
        raise InputError(f"{path}: every conversation is longer than max_tokens={max_tokens}: raise align.max_tokens")
    return fitting


def encode_example(tokenizer: AnyTokenizer, messages: list[dict], kind: str) -> Example:
    """Encode one conversation in the chat format."""
    ids, mask = encode_chat(tokenizer, messages)
    return Example(np.asarray(ids, dtype=np.int64), np.asarray(mask, dtype=bool), kind)


def encode_pair(tokenizer: AnyTokenizer, row: dict) -> Pair:
    """Encode both sides of one preference."""
    question = {"role": "user", "content": row["prompt"]}
    chosen, rejected = (
        encode_example(tokenizer, [question, {"role": "assistant", "content": row[side]}], row["kind"])
        for side in ("chosen", "rejected")
    )
    return Pair(chosen, rejected, row["kind"])
