"""Writes JSON in one form for every artifact (indented, sorted keys, UTF-8), so that equal values are equal bytes."""

import json
from pathlib import Path


def pretty(value: object) -> str:
    """Return a value as JSON text that ends with a line break."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, value: object) -> None:
    """Write a value to a file."""
    path.write_text(pretty(value), encoding="utf-8")
