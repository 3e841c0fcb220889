"""Parses JSON that others may have written into dataclasses, and refuses any missing, unknown or mistyped field.

A field's declared type may be a plain type, a union of such, list[...], tuple[..., ...], dict[str, ...] or a dataclass.
"""

import types
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Made = TypeVar("Made")
WHOLE = 1 << 53  # every integer up to this one is exactly a float


class Wrong(Exception):
    """A value does not have its declared type."""


def made(kind: type[Made], value: object) -> Made | None:
    """Make a dataclass of a JSON object; None where a field is missing, unknown or of another type."""
    hint: Any = kind
    try:
        return reader(hint)(value)
    except Wrong:
        return None


@cache
def reader(hint: Any) -> Callable[[Any], Any]:
    """Return a function that converts a JSON value to the declared type, or raises Wrong."""
    if isinstance(hint, type) and is_dataclass(hint):
        return reader_of_object(hint)
    if hint is object:
        return lambda value: value
    origin = get_origin(hint)
    if origin is types.UnionType:
        return reader_of_union([reader(one) for one in get_args(hint)])
    if origin in (list, tuple):
        inner = get_args(hint)
        if origin is list or ... in inner:
            return reader_of_items(reader(inner[0]), origin)
        return reader_of_tuple([reader(one) for one in inner])
    if origin is dict:
        return reader_of_values(reader(get_args(hint)[1]))
    return reader_of_float if hint is float else reader_of_plain(hint)


def reader_of_plain(kind: type) -> Callable[[Any], Any]:
    """Return a reader for str, int, bool, None, and for lists and dicts of anything."""

    def read(value):
        if type(value) is not kind:
            raise Wrong
        return value

    return read


def reader_of_float(value: Any) -> float:
    """Read a float; whole numbers are accepted too, since JSON does not tell 1 from 1.0."""
    if type(value) is int and abs(value) < WHOLE:
        return float(value)
    if type(value) is not float:
        raise Wrong
    return value


def reader_of_union(readers: list[Callable]) -> Callable[[Any], Any]:
    """Return a reader that takes the first of `readers` which accepts the value."""

    def read(value):
        for one in readers:
            try:
                return one(value)
            except Wrong:
                continue
        raise Wrong

    return read


def reader_of_items(inner: Callable, kind: type) -> Callable[[Any], Any]:
    """Return a reader for a list, or for a tuple of any length."""

    def read(value):
        if type(value) is not list:
            raise Wrong
        return kind(map(inner, value))

    return read


def reader_of_tuple(readers: list[Callable]) -> Callable[[Any], Any]:
    """Return a reader for a tuple of fixed length, one reader a position."""

    def read(value):
        if type(value) is not list or len(value) != len(readers):
            raise Wrong
        return tuple(one(item) for one, item in zip(readers, value, strict=True))

    return read


def reader_of_values(inner: Callable) -> Callable[[Any], Any]:
    """Return a reader for a dict with values of one type."""

    def read(value):
        if type(value) is not dict:
            raise Wrong
        return {name: inner(one) for name, one in value.items()}

    return read


def reader_of_object(kind: type) -> Callable[[Any], Any]:
    """Return a reader for a dataclass."""
    hints: dict[str, Any] = {name: type(None) if hint is None else hint for name, hint in get_type_hints(kind).items()}
    readers = {name: reader(hint) for name, hint in hints.items()}

    def read(value):
        if type(value) is not dict or value.keys() != readers.keys():
            raise Wrong
        return kind(**{name: one(value[name]) for name, one in readers.items()})

    return read
