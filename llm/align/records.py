"""Shared by data and training scripts: JSON Lines in and out, means with their errors, and the length rule.

It imports no torch, so that scripts which only derive data stay free of it.
"""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import stdev

from llm.errors import InputError


def read_jsonl(path: Path) -> list[dict]:
    """Return the objects of a JSON Lines file. Raises InputError where it is missing, empty or not JSON."""
    if not path.is_file():
        raise InputError(f"{path} is missing: it should hold one JSON object a line")
    lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: U+2028 may stand inside a string
    try:
        rows = [json.loads(line) for line in lines if line.strip()]
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON Lines ({error}): write one JSON object a line") from error
    if not rows:
        raise InputError(f"{path} holds no line: loosen align.instructions so that the sources yield pairs")
    return rows


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
