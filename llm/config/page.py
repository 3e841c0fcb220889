"""docs/config.md: every key of the configuration, block by block, as tables."""

from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import get_args, get_origin

from llm.config.default import flow
from llm.config.schema import purpose, schema_for
from llm.settings import default_of, hints_of, is_key, sentences, without_none

HEAD = """\
# Every key of the configuration

`config.yaml` is the default run; `snakemake --configfile FILE` and `--config` lay others over it. A key that is not
here is refused, with the nearest one that is. This page, `config.yaml`'s comments and `rules/config.schema.json`, which
editors complete and check with, are written from the code by `python -m llm.config`: a key's type, bounds, default and
meaning stand in a dataclass beside the code that reads it.

**To add a key**: a field in the slice of the script that reads it (`llm/<stage>/settings*`), made by `key` of
`llm/settings.py`, with a sentence below it; then `python -m llm.config`, and commit what it writes. A script's `main`
gets its slice as one argument, `--help` has an option for each key. A key that two scripts read stands in a class that
both slices inherit from; one that shapes the workflow and reaches no script stands in `llm/config/blocks.py`. Sentences
are in no job's key; a default or a bound is in those of the scripts that read it. What the default run is made of
(sources, thresholds, sizes of the model) has no default in the code: `config.yaml` alone says it.

A default in brackets is worked out from other keys. No default: `config.yaml` says the value.
"""
WORDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minProperties": "at least {}",
    "pattern": "`{}`",
}


@dataclass(frozen=True)
class Section:
    """A block: its dotted name, its class, the instance that gives its defaults."""

    place: str
    kind: type
    defaults: object = None


def page(kind: type) -> str:
    """The whole page."""
    sections = [Section("", kind)]
    for section in sections:
        sections += blocks_in(section)
    return "\n".join([HEAD, *(table(section) for section in sections)])


def blocks_in(section: Section) -> list[Section]:
    """The blocks that are keys of a block, those of a list or by name included."""
    found = []
    for each in filter(is_key, fields(section.kind)):
        hint = without_none(hints_of(section.kind)[each.name])
        place = f"{section.place}.{each.name}".strip(".")
        inner = get_args(hint)[1] if get_origin(hint) is dict else hint
        if isinstance(inner, type) and is_dataclass(inner):
            default = value_of(section, each)
            name = place if inner is hint else f"{place}.<name>"
            found.append(Section(name, inner, default if is_dataclass(default) else None))
    return found


def value_of(section: Section, each: Field) -> object:
    return default_of(each) if section.defaults is None else getattr(section.defaults, each.name)


def table(section: Section) -> str:
    """One block's keys."""
    said, hints = sentences(section.kind), hints_of(section.kind)
    rows = []
    for each in filter(is_key, fields(section.kind)):
        default, hint = value_of(section, each), hints[each.name]
        cells = [f"`{each.name}`", type_of(hint, each.metadata["bounds"]), told(default, each), said.get(each.name, "")]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    title = f"## `{section.place}`" if section.place else "## At the top"
    lines = [title, "", purpose(section.kind), "", "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def type_of(hint: object, bounds: dict) -> str:
    """A key's type and bounds in words."""
    rule = schema_for(hint, False, True) | bounds
    if "enum" in rule:
        return ", ".join("null" if value is None else f"`{value}`" for value in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    words = " or ".join(kinds)
    if "array" in kinds and "type" in rule.get("items", {}):
        words += f" of {rule['items']['type']}s"
    limits = [text.format(rule[name]) for name, text in WORDS.items() if name in bounds]
    return ", ".join([words, *limits])


def told(default: object, each: Field) -> str:
    """A default as YAML has it."""
    if each.metadata["optional"]:
        return "(worked out)"
    if default is MISSING:
        return ""
    if is_dataclass(default):
        return "below"
    return "" if default is None and not takes(each) else f"`{flow(default)}`"


def takes(each: Field) -> bool:
    return "None" in str(each.type)
