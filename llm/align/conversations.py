"""Encodes the items of a file for training: conversations, preference pairs, labelled answers.

What is longer than `max_tokens` is left out or, where asked, cut at its end; it is counted either way.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llm.align.batches import Example, Item, Labelled, Pair, longest_sides
from llm.align.rows import conversation, labelled, preference, rows_of
from llm.errors import InputError
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import AnyTokenizer


def read_examples(path: Path, tokenizer: AnyTokenizer, max_tokens: int, cut: bool = False) -> tuple[list[Example], int]:
    """Return the encoded conversations, and how many have more than `max_tokens` tokens."""
    items = [encode_example(tokenizer, conversation(row, place), kind_of(row)) for place, row in rows_of(path)]
    return fitting(items, path, max_tokens, cut)


def read_pairs(path: Path, tokenizer: AnyTokenizer, max_tokens: int, cut: bool = False) -> tuple[list[Pair], int]:
    """Return the encoded pairs, and how many have a side of more than `max_tokens` tokens."""
    items = []
    for place, row in rows_of(path):
        chosen, rejected, margin = preference(row, place)
        left, right = (encode_example(tokenizer, messages, kind_of(row)) for messages in (chosen, rejected))
        items.append(Pair(left, right, kind_of(row), margin))
    return fitting(items, path, max_tokens, cut)


def read_labelled(
    path: Path, tokenizer: AnyTokenizer, max_tokens: int, cut: bool = False
) -> tuple[list[Labelled], int]:
    """Return the encoded answers one by one, and how many have more than `max_tokens` tokens, or their mismatched
    answers. That is the next prompt's of the same label."""
    answers = [(*answer, kind_of(row)) for place, row in rows_of(path) for answer in labelled(row, place)]
    following: dict[int, int] = {}
    for wanted in (True, False):
        same = [number for number, (_, _, good, _) in enumerate(answers) if good is wanted]
        following |= zip(same, [*same[1:], *same[:1]], strict=True)
    items = []
    for number, (prompt, answer, good, kind) in enumerate(answers):
        both = answer, answers[following[number]][1]
        own, mismatched = (encode_example(tokenizer, [*prompt, each], kind) for each in both)
        items.append(Labelled(own, mismatched, float(good), kind))
    return fitting(items, path, max_tokens, cut)


def kind_of(row: dict) -> str:
    """Return the kind by which the row's metrics are grouped."""
    return str(row.get("kind", "all"))


def fitting(items: Sequence, path: Path, max_tokens: int, cut: bool) -> tuple[list, int]:
    """Return the items of at most `max_tokens` tokens, with `cut` the others too, cut at their end where that leaves
    something to learn; and how many were longer. Raises InputError if nothing is left to learn from."""
    kept, lengths = [], longest_sides(items)
    for item, length in zip(items, lengths, strict=True):
        if length <= max_tokens:
            kept.append(item)
        elif cut and all(side.mask[1:max_tokens].any() for side in item.sides):
            kept.append(shortened(item, max_tokens))
    if not kept:
        raise InputError(f"{path}: every conversation is longer than max_tokens={max_tokens}: raise align.max_tokens")
    return kept, sum(length > max_tokens for length in lengths)


def shortened(item: Item, tokens: int) -> Item:
    """Return the item with no side of more tokens. A cut answer has no [EOS], so its end is not learned as one."""
    first, *second = (Example(side.ids[:tokens], side.mask[:tokens], side.kind) for side in item.sides)
    if isinstance(item, Example):
        return first
    if isinstance(item, Pair):
        return Pair(first, second[0], item.kind, item.value)
    return Labelled(first, second[0], item.value, item.kind)


def encode_example(tokenizer: AnyTokenizer, messages: list[dict], kind: str) -> Example:
    """Encode one conversation in the chat format."""
    ids, mask = encode_chat(tokenizer, messages)
    return Example(np.asarray(ids, dtype=np.int64), np.asarray(mask, dtype=bool), kind)
