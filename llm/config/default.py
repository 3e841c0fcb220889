"""The default config.yaml: every key that is shown, with its default and its sentence.

The default run's own data, such as sources, thresholds and the model's sizes, are keys without a default in the code:
their values are said in config.yaml and nowhere else, so they stay as they stand there, comments within included.
"""

import json
from dataclasses import MISSING, fields, is_dataclass

import yaml

from llm.config.schema import plain, purpose
from llm.settings import default_of, hints_of, is_key, sentences, without_none

WIDTH = 120
HEAD = """\
# yaml-language-server: $schema=rules/config.schema.json
# {purpose}
# Overlay it: snakemake --configfile presets/<name>.yaml, or a file of your own. docs/config.md describes every key.
# `python -m llm.config` writes defaults and comments of keys from the code; sources, thresholds and the like stay.
"""


def default_config(kind: type, present: str) -> str:
    """The text of config.yaml. present: the text as it is."""
    return HEAD.format(purpose=purpose(kind)) + "\n".join(block(kind, None, Present(present), "")) + "\n"


class Present:
    """What stands in a YAML mapping, by key: its value's text as it is written."""

    def __init__(self, text: str, node: yaml.MappingNode | None = None) -> None:
        self.text = text
        found = node or yaml.compose(text)
        pairs = found.value if isinstance(found, yaml.MappingNode) else []
        self.nodes = {name.value: (name, value) for name, value in pairs}

    def below(self, name: str) -> "Present":
        """The mapping that is the value of a key; an empty one where there is none."""
        node = self.nodes.get(name, (None, None))[1]
        return Present(self.text, node if isinstance(node, yaml.MappingNode) else yaml.MappingNode("", []))

    def lines(self, name: str) -> list[str] | None:
        """The value of a key: what follows on its own line, then the lines below it. None: there is none."""
        if name not in self.nodes:
            return None
        key, value = self.nodes[name]
        if value.start_mark.line == key.start_mark.line:
            return self.text[value.start_mark.index : value.end_mark.index].split("\n")
        found = self.text[: value.end_mark.index].split("\n")[key.start_mark.line + 1 :]
        while not found[-1].strip() or indent(found[-1]) <= key.start_mark.column:
            found.pop()
        return ["", *found]


def indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def block(kind: type, defaults: object, present: Present, margin: str) -> list[str]:
    """The lines of a block's keys."""
    hints, said = hints_of(kind), sentences(kind)
    lines: list[str] = []
    for each in filter(is_key, fields(kind)):
        if not each.metadata["shown"]:
            continue
        value = default_of(each) if defaults is None else getattr(defaults, each.name)
        inner = without_none(hints[each.name])
        sentence = said.get(each.name, "")
        if isinstance(inner, type) and is_dataclass(inner) and value is not None:
            below = block(inner, value if is_dataclass(value) else None, present.below(each.name), f"{margin}  ")
            if not margin:
                lines += ["", *wrapped(purpose(inner), margin), f"{each.name}:", *below]
            elif below:
                lines += [commented(f"{margin}{each.name}:", sentence), *below]
            continue
        own = value is MISSING or each.metadata["optional"]
        written = present.lines(each.name) if own else [flow(plain(value))]
        if written is None:
            continue
        lines += entry(f"{margin}{each.name}:", written, sentence, margin, spaced=not margin and len(written) > 1)
    return lines


def entry(name: str, written: list[str], sentence: str, margin: str, spaced: bool) -> list[str]:
    """A key with its value: the sentence behind it, or above it where it is long or lines follow."""
    first = f"{name} {written[0]}".rstrip()
    line = commented(first, sentence)
    if len(line) <= WIDTH and len(written) == 1:
        return [line]
    return [*([""] if spaced else []), *wrapped(sentence, margin), first, *written[1:]]


def commented(text: str, sentence: str) -> str:
    return f"{text}  # {sentence}" if sentence else text


def wrapped(sentence: str, margin: str) -> list[str]:
    """A comment of its own, in lines that fit."""
    lines, line = [], f"{margin}#"
    for word in sentence.split():
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = f"{margin}#"
        line += f" {word}"
    return [*lines, line] if sentence else []


def flow(value: object) -> str:
    """A value on one line, as YAML writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and yaml.safe_load(value) == value and not set(value) & set(",[]{}#:"):
        return value
    return json.dumps(value)
