"""Encoded conversations and their batches for SFT, reward and DPO training.

The order of the examples is a function of (seed, step) alone. Padding goes to the right, where a causal model cannot
see it, so that no attention mask is needed. Shapes: B sequences of a batch, T tokens of its longest sequence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llm.align.records import read_jsonl
from llm.errors import InputError
from llm.tokenizer.chat import encode_chat
from llm.tokenizer.load import Tokenizer

WINDOW = 16  # batches that are sorted by length together: enough to halve the padding, few enough to stay random


@dataclass(frozen=True)
class Example:
    """One conversation: ids, and a mask that is 1 on the assistant's tokens and their [EOS]; `kind` groups metrics."""

    ids: np.ndarray
    mask: np.ndarray
    kind: str


@dataclass(frozen=True)
class Pair:
    """The same prompt with the answer to prefer and the one to reject."""

    chosen: Example
    rejected: Example
    kind: str


@dataclass(frozen=True)
class Batch:
    """tokens_BT int64, padded; mask_BT bool, true on the tokens to learn; length_B int64, tokens without padding."""

    tokens_BT: Tensor
    mask_BT: Tensor
    length_B: Tensor


def read_examples(path: Path, tokenizer: Tokenizer, max_tokens: int) -> tuple[list[Example], int]:
    """Instructions encoded, and how many were left out because they have more than `max_tokens` tokens."""
    examples = [encode_example(tokenizer, row["messages"], row["kind"]) for row in read_jsonl(path)]
    fitting = [example for example in examples if len(example.ids) <= max_tokens]
    return require(fitting, path, max_tokens), len(examples) - len(fitting)


def read_pairs(path: Path, tokenizer: Tokenizer, max_tokens: int) -> tuple[list[Pair], int]:
    """Preference pairs encoded, and how many were left out because a side has more than `max_tokens` tokens."""
    pairs = [encode_pair(tokenizer, row) for row in read_jsonl(path)]
    fitting = [pair for pair in pairs if max(len(pair.chosen.ids), len(pair.rejected.ids)) <= max_tokens]
    return require(fitting, path, max_tokens), len(pairs) - len(fitting)


def require(fitting: list, path: Path, max_tokens: int) -> list:
    """`fitting`, or InputError if nothing is left to learn from."""
    if not fitting:
        raise InputError(f"{path}: every conversation is longer than max_tokens={max_tokens}: raise align.max_tokens")
    return fitting


def encode_example(tokenizer: Tokenizer, messages: list[dict], kind: str) -> Example:
    """One conversation in the chat format."""
    ids, mask = encode_chat(tokenizer, messages)
    return Example(np.asarray(ids, dtype=np.int64), np.asarray(mask, dtype=bool), kind)


def encode_pair(tokenizer: Tokenizer, row: dict) -> Pair:
    """Both sides of one preference."""
    sides = [
        encode_example(
            tokenizer,
            [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row[side]}],
            row["kind"],
        )
        for side in ("chosen", "rejected")
    ]
    return Pair(*sides, row["kind"])


def collate(examples: list[Example], pad: int) -> Batch:
    """Pad to the longest of `examples`."""
    lengths = [len(example.ids) for example in examples]
    tokens_BT = np.full((len(examples), max(lengths)), pad, dtype=np.int64)
    mask_BT = np.zeros(tokens_BT.shape, dtype=bool)
    for row, example in enumerate(examples):
        tokens_BT[row, : lengths[row]] = example.ids
        mask_BT[row, : lengths[row]] = example.mask
    return Batch(torch.from_numpy(tokens_BT), torch.from_numpy(mask_BT), torch.tensor(lengths))


def training_order(lengths: list[int], batch: int, seed: int, steps: int) -> Iterator[list[int]]:
    """Indices of each step's examples, `batch` at a time, epoch after epoch; an epoch's incomplete batch is left out.

    Epoch e is shuffled by (seed, e); inside windows of WINDOW batches examples are grouped by length to save padding.
    """
    per_epoch = len(lengths) // batch
    if per_epoch < 1:
        raise InputError(f"{len(lengths)} examples do not fill one batch of {batch}: lower the batch or get more data")
    for step in range(steps):
        if step % per_epoch == 0:
            epoch = epoch_order(lengths, batch, seed, step // per_epoch)
        yield epoch[step % per_epoch]


def epoch_order(lengths: list[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch."""
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    order = random.permutation(len(lengths))
    size = np.asarray(lengths)
    groups = []
    for start in range(0, len(order), WINDOW * batch):
        window = order[start : start + WINDOW * batch]
        window = window[np.argsort(size[window], kind="stable")]
        groups += [window[i : i + batch].tolist() for i in range(0, len(window) - batch + 1, batch)]
    return [groups[i] for i in random.permutation(len(groups))]


def evaluation_order(lengths: list[int], batch: int) -> list[list[int]]:
    """Every index once, by length, `batch` at a time, the last batch perhaps smaller."""
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    return [order[start : start + batch] for start in range(0, len(order), batch)]
