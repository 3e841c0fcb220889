"""What a script can be told beside its paths: a frozen dataclass of keys, each of which is said once.

A key is a field made by `key`: its annotation is its type, `key` gives its default and its bounds, and the string below
it says in a sentence what it means (no part of a job's key, like any docstring):

    batch_size: int = key(16, minimum=1)
    \"\"\"Sequences of context_length tokens in a step.\"\"\"

llm/config/ derives from them what a configuration may hold, config.yaml, docs/config.md and the schema for editors. A
class holds the keys of one script, its slice: what a script does not read is in no class of its. Keys that two scripts
read stand in a class that both slices inherit from. Fields without `key` are what rules work out, such as the step a
segment begins at. This module is in every script's closure: it imports nothing, and knows no stage.
"""

import ast
import inspect
import textwrap
import typing
from copy import deepcopy
from dataclasses import MISSING, Field, field, fields, is_dataclass
from itertools import pairwise
from typing import Any, TypeVar

from llm.errors import InputError

T = TypeVar("T")
TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", list: "array", tuple: "array", dict: "object"}
LIMITS = {
    "minimum": (lambda value, bound: value >= bound, "less than the minimum of"),
    "maximum": (lambda value, bound: value <= bound, "more than the maximum of"),
    "exclusiveMinimum": (lambda value, bound: value > bound, "not above"),
    "exclusiveMaximum": (lambda value, bound: value < bound, "not below"),
}


def key(default: object = MISSING, *, shown: bool = True, optional: bool = False, **bounds: object) -> Any:
    """Make a field of a slice that is a key of the config. default: without one, config.yaml must have the key; None
    for a type without None: the key may be left out. shown: the default config.yaml has it. optional: a config may
    leave it out or null, and its value is worked out from others. bounds: keywords of JSON Schema."""
    metadata = {"shown": shown, "optional": optional, "bounds": bounds}
    if isinstance(default, dict | list):
        return field(default_factory=lambda: deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def is_key(each: Field) -> bool:
    """Is a dataclass's field a key of the config?"""
    return "bounds" in each.metadata


def default_of(each: Field) -> object:
    """Return a field's default; MISSING where it has none."""
    return each.default if each.default_factory is MISSING else each.default_factory()


def hints_of(kind: type) -> dict[str, Any]:
    """Return name -> type of a dataclass's fields."""
    return typing.get_type_hints(kind)


def without_none(hint: Any) -> Any:
    """Return int for `int | None`, and other types as they are."""
    if takes_none(hint):
        return next(inner for inner in typing.get_args(hint) if inner is not type(None))
    return hint


def takes_none(hint: object) -> bool:
    return type(None) in typing.get_args(hint)


def slice_of(kind: type, *blocks: dict, **found: object) -> dict:
    """Return what a rule gives its script: `found`, and for every other field of the slice `kind` the value in the
    first block of the config that has it. Raises KeyError where none has."""
    values = dict(found)
    for each in fields(kind):
        if each.name in values:
            continue
        holder = next((block for block in blocks if each.name in block), None)
        if holder is not None:
            values[each.name] = holder[each.name]
        elif default_of(each) is MISSING:
            raise KeyError(f"{kind.__name__}.{each.name} is in no block that the rule names")
    return values


def made(kind: type[T], values: object, place: str = "") -> T:
    """Make a dataclass of a JSON object. Raises InputError, one line that begins with `place` and the key, for a key
    that is unknown or missing, and for a value of another type or out of bounds."""
    assert is_dataclass(kind)
    known = {each.name: each for each in fields(kind)}
    hints = hints_of(kind)
    if not isinstance(values, dict):
        raise InputError(f"{place or kind.__name__}: {values!r} is not of type object; correct the value")
    for name in values:
        if name not in known:
            raise InputError(f"{dotted(place, name)}: unknown key; known are {', '.join(known)}")
    for name, each in known.items():
        if name not in values and default_of(each) is MISSING:
            raise InputError(f"{dotted(place, name)} is missing; add it")
    return kind(
        **{
            name: read(hints[name], value, dotted(place, name), known[name].metadata.get("bounds", {}))
            for name, value in values.items()
        }
    )


def read(hint: Any, value: Any, place: str, bounds: dict) -> Any:
    """Convert a JSON value to the type of a field. Raises InputError."""
    if value is None and takes_none(hint):
        return None
    hint = without_none(hint)
    plain: Any = typing.get_origin(hint) or hint
    inner = typing.get_args(hint)
    if isinstance(plain, type) and is_dataclass(plain):
        return made(plain, value, place)
    if plain is typing.Literal:
        if value not in inner or isinstance(value, bool):
            raise InputError(f"{place}: {value!r} is not one of {', '.join(map(str, inner))}")
        return value
    if plain not in TYPES:  # a path, or anything
        return plain(value) if isinstance(plain, type) else value
    wanted: Any = {int: int, float: (int, float), list: list, tuple: (list, tuple)}.get(plain, plain)
    if not isinstance(value, wanted) or isinstance(value, bool) and plain is not bool:
        raise InputError(f"{place}: {value!r} is not of type {TYPES[plain]}; correct the value")
    for name, bound in bounds.items():
        if name in LIMITS and not LIMITS[name][0](value, bound):
            raise InputError(f"{place}: {value!r} is {LIMITS[name][1]} {bound}; correct the value")
    if plain is dict and inner:
        return {name: read(inner[1], one, dotted(place, name), {}) for name, one in value.items()}
    if plain in (list, tuple) and inner:
        return plain(read(inner[0], one, dotted(place, str(number)), {}) for number, one in enumerate(value))
    return value


def dotted(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def sentences(kind: type) -> dict[str, str]:
    """Return field -> the sentence below it, in the class or in one that it inherits from."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        found_class = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(found_class, ast.ClassDef)
        for node, after in pairwise(found_class.body):
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(said, str):
                found[node.target.id] = " ".join(said.split())
    return found
