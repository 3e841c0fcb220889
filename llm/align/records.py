"""Shared by data and training scripts: JSON Lines in and out, means with their errors, and the length rule.

It imports no torch, so that scripts which only derive data stay free of it.
"""

import codecs
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

from llm.errors import InputError

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_jsonl(path: Path) -> list[dict]:
    """Return the objects of a JSON Lines file. Half of a surrogate pair, which no file in UTF-8 can hold, becomes
    U+FFFD. Raises InputError where the file is missing or empty, and for the first line that is not JSON in UTF-8."""
    if not path.is_file():
        raise InputError(f"{path} is missing: it should hold one JSON object a line")
    rows = []
    # Not splitlines: U+2028 may stand inside a string.
    for number, line in enumerate(path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        try:
            if text := line.decode().strip():
                rows.append(parsed(text))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number}: not JSON Lines ({error}): write one JSON object a line"
            ) from error
    if not rows:
        raise InputError(f"{path} holds no line: loosen align.instructions so that the sources yield pairs")
    return rows


def parsed(text: str) -> Any:
    """Return the value of a JSON text, halves of surrogate pairs as U+FFFD. Raises ValueError or RecursionError."""
    row = json.loads(text)
    if not SURROGATE.search(text):
        return row
    written = json.dumps(row, ensure_ascii=False)
    return json.loads(written.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def write_jsonl(path: Path, rows: list[dict]) -> None:
    """Write one object a line, keys sorted."""
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def mean(values: Iterable[float]) -> float:
    """Return the arithmetic mean; 0 for no values."""
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean of independent values; 0 where fewer than two have none."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def length_rule(lengths: list[tuple[int, int]]) -> dict:
    """Return the accuracy of a judge who sees only the lengths (chosen, rejected), a tie counting one half.

    `longer_wins` prefers the longer answer, `shorter_wins` the shorter; `best` is the better of the two.
    """
    if not lengths:
        return {"longer_wins": 0.5, "shorter_wins": 0.5, "best": 0.5}
    longer = sum(0.5 if chosen == rejected else float(chosen > rejected) for chosen, rejected in lengths) / len(lengths)
    return {"longer_wins": longer, "shorter_wins": 1 - longer, "best": max(longer, 1 - longer)}
