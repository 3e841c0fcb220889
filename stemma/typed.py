"""Dataclasses from JSON that others may have written: every field there, each of the type that is declared, or none.

What is declared may be a plain type, a union of such, list[...], tuple[..., ...], dict[str, ...] or another dataclass.
"""

import types
from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Made = TypeVar("Made")
WRONG = object()


def made(kind: type[Made], value: object) -> Made | None:
    """The dataclass that a JSON object states; None where a field is missing, unknown or of another type."""
    found = read(kind, value)
    return None if found is WRONG else found


def read(hint: Any, value: object) -> Any:
    """The value as what is declared; WRONG where it is something else."""
    if is_dataclass(hint):
        return read_object(hint, value)
    if hint is Any or hint is object:
        return value
    origin = get_origin(hint)
    if origin is types.UnionType:
        return next((found for one in get_args(hint) if (found := read(one, value)) is not WRONG), WRONG)
    if origin in (list, tuple):
        inner = get_args(hint)
        if not isinstance(value, list) or origin is tuple and ... not in inner and len(inner) != len(value):
            return WRONG
        found = [read(inner[0], item) for item in value]
        return WRONG if any(item is WRONG for item in found) else origin(found)
    if origin is dict:
        if not isinstance(value, dict):
            return WRONG
        found = {name: read(get_args(hint)[1], item) for name, item in value.items()}
        return WRONG if any(item is WRONG for item in found.values()) else found
    if hint is float and type(value) is int:
        return float(value) if abs(value) < 1 << 53 else WRONG
    return value if type(value) is hint else WRONG


def read_object(kind: Any, value: object) -> Any:
    """The same for a dataclass."""
    hints = hints_of(kind)
    if not isinstance(value, dict) or value.keys() != hints.keys():
        return WRONG
    fields = {name: read(hint, value[name]) for name, hint in hints.items()}
    return WRONG if any(item is WRONG for item in fields.values()) else kind(**fields)


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """The declared types of a dataclass."""
    return {name: type(None) if hint is None else hint for name, hint in get_type_hints(kind).items()}
