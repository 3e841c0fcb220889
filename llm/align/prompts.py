"""Reads prompts that a policy answers: any row of alignment data has one, and may have what a reward function needs."""

from dataclasses import dataclass
from pathlib import Path

from llm.align.conversations import kind_of
from llm.align.rows import checked_messages, prompt_of, rows_of
from llm.errors import InputError
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import AnyTokenizer


@dataclass(frozen=True)
class Prompt:
    """ids: up to where the answer begins. text: of the last message. row: the file's, for reward functions."""

    ids: list[int]
    text: str
    row: dict
    kind: str


def read_prompts(path: Path, tokenizer: AnyTokenizer, max_tokens: int) -> tuple[list[Prompt], int]:
    """Return the prompts of a file, and how many were left out for more than `max_tokens` tokens. Raises InputError if
    none is left."""
    found, too_long = [], 0
    for place, row in rows_of(path):
        messages = asked(row, place)
        ids, _ = encode_chat(tokenizer, messages, add_generation_prompt=True)
        if len(ids) > max_tokens:
            too_long += 1
        else:
            found.append(Prompt(ids, messages[-1]["content"], row, kind_of(row)))
    if not found:
        raise InputError(
            f"{path}: every prompt is longer than the {max_tokens} tokens that max_new_tokens leaves of max_tokens: "
            "raise align.max_tokens, or lower max_new_tokens"
        )
    return found, too_long


def asked(row: dict, place: str) -> list[dict]:
    """Return the messages before the last answer; the last is a user's."""
    if "messages" not in row:
        return prompt_of(row, place)
    messages = checked_messages(row["messages"], place, "messages")
    while messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    return prompt_of({"prompt": messages}, place)
