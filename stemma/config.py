"""Check a run's configuration against a JSON schema: the first mistake becomes one line, a typo comes with its cure.

Also fills the defaults that the schema states. Knows no key of any particular workflow.
"""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import yaml

from stemma.errors import StemmaError

UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def check(config: dict, schema: Path) -> None:
    """Raise StemmaError for the first thing in `config` that the schema (YAML) forbids; set defaults in place."""
    rules = yaml.safe_load(schema.read_text())
    for place, text in texts(config):
        if UNWRITABLE.search(text):
            where = ".".join(place) or "the top level"
            raise StemmaError(
                f"config: {ascii(where)[1:-1]}: {ascii(text)} holds a character that no file or command "
                "line can (NUL, or half of a surrogate pair); write another"
            )
    fill(config, rules, rules)
    errors = sorted(jsonschema.Draft202012Validator(rules).iter_errors(config), key=lambda error: error.json_path)
    if errors:
        raise StemmaError(sentence(errors[0]))


def texts(value: object, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every string in a config, names of keys too, with where it stands."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(name, place)
            yield from texts(inner, (*place, str(name)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from texts(inner, (*place, str(number)))


def fill(value: object, rule: dict, root: dict) -> None:
    """Set the `default` of every property that is missing, depth first."""
    if "$ref" in rule:
        rule = root["$defs"][rule["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict):
        return
    for name, inner in rule.get("properties", {}).items():
        if "default" in inner:
            value.setdefault(name, inner["default"])
        if name in value:
            fill(value[name], inner, root)
    others = rule.get("additionalProperties")
    if isinstance(others, dict):
        for name in value.keys() - rule.get("properties", {}).keys():
            fill(value[name], others, root)


def sentence(error: jsonschema.ValidationError) -> str:
    """`config: process.min_wrods: unknown key; did you mean min_words?`"""
    place = ".".join(map(str, error.absolute_path)) or "the top level"
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(error.instance.keys() - set(known))[0]
        near = difflib.get_close_matches(unknown, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        where = f"{place}.{unknown}" if error.absolute_path else unknown
        return f"config: {where}: unknown key; {hint}"
    if error.validator == "type":
        return f"config: {place}: {error.instance!r} is not of type {error.validator_value}; correct the value"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"config: {place}: the key {missing} is missing; add it"
    if error.validator == "enum":
        return f"config: {place}: {error.instance!r} is not one of {', '.join(map(str, error.validator_value))}"
    if error.validator in ("oneOf", "anyOf"):
        return f"config: {place}: {error.schema.get('errorMessage') or error.message}"
    return f"config: {place}: {error.message}; correct the value"
