"""Reads YAML that people have written."""

import json
from pathlib import Path
from typing import Any

import yaml

from llm.errors import InputError

# What the library was seen to raise beside its own errors: on a 13th month, `!!bool maybe`, `!!timestamp x`, depth.
BESIDE = (ValueError, KeyError, AttributeError, RecursionError)


def read_yaml(file: Path) -> Any:
    """Return what a file holds. Raises InputError, one line, for a file that cannot be read, or is no YAML in UTF-8."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        # What holds itself, or half of a surrogate pair, could not be written again.
        json.dumps(found, ensure_ascii=False, default=str, skipkeys=True).encode()
    except (OSError, yaml.YAMLError, *BESIDE) as error:
        raise InputError(f"{file}: cannot be read as YAML ({' '.join(str(error).split())}); correct it") from error
    return found
