"""Reads the usual layouts of alignment data from JSON Lines and parquet, and says what is wrong with a row.

    conversations   {"messages": [{"role", "content"}, ...]}      or {"prompt", "completion"}
    preferences     {"prompt", "chosen", "rejected"}              and {"margin"}, by how much it is preferred
    labelled        {"prompt", "completion", "label": true}       or preferences, each giving a good and a bad one

A prompt is text or a list of messages; a completion, a chosen or a rejected answer is text or a list of one message, an
assistant's. Any row may have a `kind`, by which metrics are grouped. An answer with "weight": 0 is not learned.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from llm.align.records import read_jsonl
from llm.errors import InputError
from llm.io import parquet

MOST_MARGIN = 1e38  # of fp32
NAMES = ("{}.jsonl", "{}.parquet")
ROLES = ("system", "user", "assistant")


def find_split(directory: Path, split: str) -> Path:
    """Return the file of a split. Raises InputError unless there is exactly one."""
    found = [path for name in NAMES if (path := directory / name.format(split)).is_file()]
    if len(found) != 1:
        wanted = " or ".join(name.format(split) for name in NAMES)
        raise InputError(f"{directory}: {len(found)} files of {split}; it should have one, {wanted}")
    return found[0]


def rows_of(path: Path) -> Iterator[tuple[str, dict]]:
    """Yield each row with its place, `file:row`, for messages. Raises InputError for a file that cannot be read."""
    if path.suffix == ".parquet":
        with parquet.damage_is_input_error(path, []):
            rows = pl.read_parquet(path).to_dicts()
    else:
        rows = read_jsonl(path)
    if not rows:
        raise InputError(f"{path} holds no row; name a file that does, or loosen what the pairs are derived by")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number}: {type(row).__name__} where an object should be")
        yield f"{path}:{number}", stated(row)


def stated(row: dict) -> dict:
    """Return what a row states: parquet has null where it states nothing, and so have tools that write JSON."""
    return {name: value for name, value in row.items() if value is not None}


def conversation(row: dict, place: str) -> list[dict]:
    """Return the messages of a conversation; the last is an assistant's."""
    if "messages" in row:
        messages = checked_messages(row["messages"], place, "messages")
    else:
        messages = [*prompt_of(row, place), answer_of(row, "completion", place)]
    if messages[-1]["role"] != "assistant":
        raise InputError(f"{place}: the last message is the {messages[-1]['role']}'s; it should be the assistant's")
    if not any(message["role"] == "assistant" and message.get("weight", 1) for message in messages):
        raise InputError(f"{place}: every answer has weight 0, so there is nothing to learn; leave the row out")
    return messages


def preference(row: dict, place: str) -> tuple[list[dict], list[dict], float]:
    """Return the conversations that end with the chosen and with the rejected answer, and the margin."""
    prompt = prompt_of(row, place)
    chosen, rejected = (answer_of(row, side, place) for side in ("chosen", "rejected"))
    if chosen["content"].strip() == rejected["content"].strip():
        raise InputError(f"{place}: chosen and rejected are equal, so neither is preferred; leave the row out")
    margin = row.get("margin", 0.0)
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < MOST_MARGIN:
        raise InputError(f"{place}: margin {margin!r:.40} is not a number of 0 or more, below {MOST_MARGIN:g}")
    return [*prompt, chosen], [*prompt, rejected], float(margin)


def labelled(row: dict, place: str) -> list[tuple[list[dict], dict, bool]]:
    """Return (prompt, answer, is it a good one) of the row's answer, or of both of a preference's."""
    prompt = prompt_of(row, place)
    if "completion" not in row:
        (*_, chosen), (*_, rejected), _ = preference(row, place)
        return [(prompt, chosen, True), (prompt, rejected, False)]
    if not isinstance(row.get("label"), bool):
        raise InputError(f"{place}: label {row.get('label')!r} is not true or false")
    return [(prompt, answer_of(row, "completion", place), row["label"])]


def prompt_of(row: dict, place: str) -> list[dict]:
    """Return the messages before the answer; the last is a user's."""
    prompt = needed(row, "prompt", place)
    messages = checked_messages(
        [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt, place, "prompt"
    )
    if messages[-1]["role"] != "user":
        raise InputError(f"{place}: prompt ends with the {messages[-1]['role']}'s message; it should be the user's")
    return messages


def answer_of(row: dict, name: str, place: str) -> dict:
    """Return an assistant's message that is not empty."""
    answer = needed(row, name, place)
    if isinstance(answer, str):
        answer = [{"role": "assistant", "content": answer}]
    messages = checked_messages(answer, place, name)
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise InputError(f"{place}: {name} should be text or one assistant's message; put what is before it in prompt")
    return messages[0]


def needed(row: dict, name: str, place: str) -> Any:
    if name not in row:
        raise InputError(f"{place}: no {name}; the row has {', '.join(sorted(row)) or 'nothing'}")
    return row[name]


def checked_messages(messages: object, place: str, name: str) -> list[dict]:
    """Return messages of known roles with text. Raises InputError, which names the message, for any other."""
    if not isinstance(messages, list) or not messages:
        raise InputError(
            f"{place}: {name} is {json.dumps(messages, default=str)[:40]}; it should be text or a list of messages"
        )
    messages = [stated(message) if isinstance(message, dict) else message for message in messages]
    for number, message in enumerate(messages, 1):
        where = f"{place}: {name}, message {number}"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            role = message.get("role") if isinstance(message, dict) else message
            raise InputError(f"{where}: role {role!r} is not one of {', '.join(ROLES)}")
        content = message.get("content")
        if not isinstance(content, str):
            raise InputError(f"{where}: content is {type(content).__name__}, not text")
        if message["role"] == "assistant" and not content.strip():
            raise InputError(f"{where}: the assistant's answer is empty; leave the row out")
        if message.get("weight", 1) not in (0, 1):
            raise InputError(f"{where}: weight {message['weight']!r} is not 0 or 1")
    return messages
