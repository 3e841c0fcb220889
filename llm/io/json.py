"""JSON as every artifact has it: indented, keys sorted, text as UTF-8, so that equal values are equal bytes."""

import json
from pathlib import Path


def pretty(value: object) -> str:
    """A value as text that ends with a line break."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, value: object) -> None:
    """A value as a file."""
    path.write_text(pretty(value), encoding="utf-8")
