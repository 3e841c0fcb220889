"""Checks a run's config against a JSON schema: the first mistake becomes one line, a typo comes with its correction.

It also fills in the schema's defaults, and normalises numbers so that equal ones are spelled alike. The keys themselves
are the schema's business.
"""

import difflib
import math
import re
from copy import deepcopy
from typing import Any

import jsonschema

from stemma.base.digest import plain
from stemma.base.errors import StemmaError

UNWRITABLE = re.compile("[\0\ud800-\udfff]")
LARGEST = 2**63 - 1  # the largest integer that arrays, data frames and random generators take
MANY = 9  # names that a line can list
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)e[-+]?\d+", re.IGNORECASE)
TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=TYPES)


def check(config: dict, rules: dict) -> None:
    """Raise StemmaError for the first value in `config` that no job could be given or that `rules` (a JSON Schema)
    forbid; fill in defaults in place."""
    check_values(config)
    config.update(plain(config))
    fill(config, rules, rules)
    errors = list(Validator(rules).iter_errors(config))
    if take_numbers(config, errors):
        errors = list(Validator(rules).iter_errors(config))
    if errors:
        errors.sort(key=lambda error: error.json_path)
        raise StemmaError(sentence(errors[0]))


def with_numbers(config: dict, rules: dict) -> dict:
    """Convert texts to numbers where the rules want them, in a part of a config that is not checked otherwise; see
    take_numbers."""
    take_numbers(config, list(Validator(rules).iter_errors(config)))
    return config


def take_numbers(config: dict, errors: list[jsonschema.ValidationError]) -> bool:
    """Convert `1e-3`, `450e9` and the like, which YAML reads as text, in place where the schema's errors ask for
    numbers. Returns whether there were any."""
    waiting, found = list(errors), False
    while waiting:
        error = waiting.pop()
        waiting += error.context or ()
        if error.validator != "type" or not isinstance(error.instance, str) or not NUMBER.fullmatch(error.instance):
            continue
        wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        number = plain(float(error.instance))
        if "number" in wanted or "integer" in wanted and isinstance(number, int):
            *parents, name = error.absolute_path
            check_values(number, tuple(map(str, error.absolute_path)))
            place = config
            for parent in parents:
                place = place[parent]
            place[name], found = number, True
    return found


def check_values(value: object, place: tuple[str, ...] = ()) -> None:
    """Raise StemmaError for a value that YAML can express and no job can be given."""
    where = f"config: {ascii('.'.join(place))[1:-1] or 'the top level'}"
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise StemmaError(f"{where}: the key {name!r} is no text; put it in quotes")
            check_values(name, place)
            check_values(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check_values(inner, (*place, str(number)))
    elif isinstance(value, str):
        if UNWRITABLE.search(value):
            raise StemmaError(
                f"{where}: {ascii(value)} holds a character that no file or command line can (NUL, or half of a "
                "surrogate pair); write another"
            )
    elif isinstance(value, float) and not math.isfinite(value):
        raise StemmaError(f"{where}: {value} is no finite number; correct the value")
    elif isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise StemmaError(f"{where}: {value} has more than 64 bits; it may be {LARGEST} at most")
    elif not isinstance(value, int | float | None):
        raise StemmaError(f"{where}: YAML reads a {type(value).__name__} here; put it in quotes")


def fill(value: object, rule: dict, root: dict) -> None:
    """Fill in the `default` of every missing property, depth first."""
    if "$ref" in rule:
        rule = root["$defs"][rule["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict):
        return
    for name, inner in rule.get("properties", {}).items():
        if "default" in inner:
            value.setdefault(name, deepcopy(inner["default"]))
        if name in value:
            fill(value[name], inner, root)
    others = rule.get("additionalProperties")
    if isinstance(others, dict):
        for name in value.keys() - rule.get("properties", {}).keys():
            fill(value[name], others, root)


def sentence(error: jsonschema.ValidationError) -> str:
    """Format a schema error: `config: process.min_wrods: unknown key; did you mean min_words?`"""
    schema: Any = error.schema
    instance: Any = error.instance
    wanted: Any = error.validator_value
    place = ".".join(map(str, error.absolute_path)) or "the top level"
    if error.validator == "additionalProperties":
        known = sorted(schema.get("properties", {}))
        unknown = sorted(instance.keys() - set(known))[0]
        near = difflib.get_close_matches(unknown, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        blocks = [] if error.absolute_path else blocks_with(unknown, schema)
        if blocks:  # `--config steps=10`
            hint = f"did you mean that of {' or '.join(blocks)}? write {blocks[0]}: {{{unknown}: ...}}"
        where = f"{place}.{unknown}" if error.absolute_path else unknown
        return f"config: {where}: unknown key; {hint}"
    if error.validator == "pattern" and "errorMessage" in schema:
        return f"config: {place}: {instance!r} {schema['errorMessage']}"
    if error.validator == "type" and wanted == "array" and not isinstance(instance, dict):
        return f"config: {place}: {instance!r} is one value where a list belongs; write [{instance}]"
    if error.validator == "type" and wanted == "object":
        return f"config: {place}: {instance!r} stands where keys with their values belong; write {place}: {{key: ...}}"
    if error.validator == "type":
        return f"config: {place}: {instance!r} is not of type {wanted}; correct the value"
    if error.validator == "required":
        missing = next(name for name in wanted if name not in instance)
        return f"config: {place}: the key {missing} is missing; add it"
    if error.validator == "enum":
        near = difflib.get_close_matches(str(instance), list(map(str, wanted)), 1) if len(wanted) > MANY else []
        if near:
            return f"config: {place}: {instance!r} is none of the {len(wanted)} known; did you mean {near[0]}?"
        return f"config: {place}: {instance!r} is not one of {', '.join(map(str, wanted))}"
    if error.validator in ("oneOf", "anyOf"):
        return f"config: {place}: {schema.get('errorMessage') or error.message}"
    return f"config: {place}: {error.message}; correct the value"


def blocks_with(name: str, root: dict) -> list[str]:
    """Return the blocks of a config that have a key of this name."""
    found = []
    for block, rule in root.get("properties", {}).items():
        if "$ref" in rule:
            rule = root["$defs"][rule["$ref"].rsplit("/", 1)[1]]
        if name in rule.get("properties", {}):
            found.append(block)
    return found
