"""References to numbers: \ref and its kin, those of a class that nothing else is known of, and ranges."""

import re
from typing import TYPE_CHECKING

from llm.collect.formats.tex.numbers import UNKNOWN

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

KEYS = re.compile(r"[^\s\\{}$&#~,]{1,80}(?:,\s*[^\s\\{}$&#~,]{1,80}){0,20}")
COMMANDS = re.compile(r"[\\{}$%~&#^_]")
LAST_WORD = re.compile(r"([^\W\d_]{2,20})\.?[\s~(]{1,3}\Z")


def reference(tex: "Scanner", name: str) -> None:
    source = tex.here()
    source.skip("so")
    labels = source.read_group()
    if labels is not None:
        tex.keep(lambda: tex.numbers.reference(name, labels))


def of_a_class(tex: "Scanner", name: str) -> bool:
    r"""Read the argument of a command like \figureref{a,b}, which a class defines: `Figure 1`, or the number alone
    where the word stands before it. If it names no labels of the document it stays. Returns False if it is text."""
    source = tex.source
    span = source.group()
    if span is None or source.text.startswith("{", span[1] + 1) or not KEYS.fullmatch(source.text, *span):
        return False
    labels = source.text[slice(*span)]
    source.position = span[1] + 1
    word = LAST_WORD.search("".join(tex.out[-3:])[-30:])
    before = word[1].lower().removesuffix("s") if word else ""
    tex.keep(lambda: (plain_title(tex, labels) if name == "nameref" else "") or with_kind(tex, labels, before))
    return True


def plain_title(tex: "Scanner", label: str) -> str:
    r"""Return what \nameref prints: the title of the label's section, if it is one and has no commands in it."""
    target, title = tex.numbers.labels.get(label.strip()), tex.numbers.titles.get(label.strip(), "")
    section = target is not None and target.kind in ("part", "chapter", "section")
    return " ".join(title.split()) if section and not COMMANDS.search(title) else ""


def with_kind(tex: "Scanner", labels: str, before: str) -> str:
    """Return what references to labels print. `before`: the word that stands before them."""
    targets = [tex.numbers.labels.get(label.strip()) for label in labels.split(",")]
    first = targets[0]
    if first is None or None in targets or first.number == UNKNOWN:
        return labels
    said = before != "" and first.kind.startswith("eq" if before == "eqn" else before)
    return tex.numbers.reference("labelcref" if said else "autoref", labels)


def span_of_numbers(tex: "Scanner", name: str) -> None:
    r"""Read \crefrange{first}{last}."""
    source = tex.here()
    source.skip("s")
    first, last = source.read_group(), source.read_group()
    if first and last:
        command = name.removesuffix("range")
        tex.keep(lambda: tex.numbers.reference(command, f"{first},{last}").replace(", ", " to "))
