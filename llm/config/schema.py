"""What a configuration may hold, as a JSON Schema (draft 2020-12) made from dataclasses of keys (llm/settings.py).

The rules check a run's config with it, and fill in the defaults; an editor completes and checks with the same.
"""

import typing
from dataclasses import MISSING, asdict, fields, is_dataclass
from inspect import getdoc
from typing import Any

from llm.settings import TYPES, default_of, hints_of, is_key, sentences, takes_none, without_none

RULES = "RULES"  # of a class: keywords for the object as a whole


def schema_of(kind: type, explained: bool = False, whole: bool = True, defaults: object = None) -> dict:
    """The schema of a block. explained: with the sentences, which are read from the sources. whole: keys without a
    default must be there, as in config.yaml; an overlay need not say them. defaults: an instance whose values count
    instead of the class's."""
    hints, said = hints_of(kind), sentences(kind) if explained else {}
    properties: dict[str, dict] = {}
    required: list[str] = []
    for each in filter(is_key, fields(kind)):
        hint = hints[each.name]
        default = default_of(each) if defaults is None else getattr(defaults, each.name)
        optional = each.metadata["optional"]
        rule = schema_for(hint | None if optional else hint, explained, whole, default) | each.metadata["bounds"]
        if optional:
            pass
        elif default is MISSING:
            required.append(each.name)
        elif default is not None or takes_none(hint):
            rule["default"] = {} if is_dataclass(default) else plain(default)
        if said.get(each.name):
            rule["description"] = said[each.name]
        properties[each.name] = rule
    found = {"type": "object", "additionalProperties": False, "properties": properties}
    if whole and required:
        found["required"] = required
    return found | getattr(kind, RULES, {})


def schema_for(hint: Any, explained: bool, whole: bool, default: object = None) -> dict:
    """The schema of a type."""
    if takes_none(hint):
        rule = schema_for(without_none(hint), explained, whole, default)
        if "enum" in rule:
            return rule | {"enum": [*rule["enum"], None]}
        return rule | {"type": [rule["type"], "null"]}
    kind: Any = typing.get_origin(hint) or hint
    inner = typing.get_args(hint)
    if isinstance(kind, type) and is_dataclass(kind):
        return schema_of(kind, explained, whole, default if is_dataclass(default) else None)
    if kind is typing.Literal:
        return {"enum": list(inner)}
    found: dict = {"type": TYPES[kind]}
    if kind in (list, tuple) and inner:
        found["items"] = schema_for(inner[0], explained, whole)
    if kind is dict and inner:
        found["additionalProperties"] = schema_for(inner[1], explained, whole)
        if typing.get_origin(inner[0]) is typing.Literal:
            found["propertyNames"] = {"enum": list(typing.get_args(inner[0]))}
    return found


def purpose(kind: type) -> str:
    """What a block is for: its class's docstring."""
    return " ".join((getdoc(kind) or "").split())


def plain(value: object) -> object:
    """A default as JSON and YAML have it."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    return list(value) if isinstance(value, tuple) else value
