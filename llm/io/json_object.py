"""Reads a JSON object that another tool, or a person, has written."""

import json
from pathlib import Path

from llm.errors import InputError


def read_object(path: Path, missing: str) -> dict:
    """Return the object that a file holds. Raises InputError, one line, for a file that is missing (the line ends with
    `missing`), that is no JSON in UTF-8, or that holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; {missing}") from error
    except OSError as error:  # a directory, or one that may not be read
        raise InputError(f"{path} cannot be read ({error.strerror}); copy or build it again") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); copy or build it again") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: {type(found).__name__} where a JSON object should be; copy or build it again")
    return found
