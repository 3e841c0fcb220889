r"""Keeps formulas as they are written but for comments and labels: $..$, $$..$$, \(..\), \[..\], environments.

A formula that never ends is none: its opening sign goes and its text stays.
"""

import re
from functools import partial
from typing import TYPE_CHECKING

from llm.collect.formats.tex.numbers import without_labels

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

SIMPLE = re.compile(r"([^$\\{}%\n]++)\$")
INSIDE = re.compile(r"[^$\\{}%\n]*+(?:(\$\$?)|\\(?:.|\Z)|([{}])|(\n)[ \t]*+\n|\n|%[^\n]*+|\Z)", re.DOTALL)
BLANK_LINE = re.compile(r"\n[ \t]*+\n")
COMMENT_LINE = re.compile(r"^[ \t]*+%.*\n?", re.MULTILINE)
COMMENT = re.compile(r"(?<!\\)((?:\\\\)*+)%.*")
CLOSERS = {"(": re.compile(r"\\\)"), "[": re.compile(r"\\\]")}


def uncommented(source: str) -> str:
    """Return a formula without % comments; a line that was only a comment goes altogether."""
    return COMMENT.sub(r"\1", COMMENT_LINE.sub("", source)) if "%" in source else source


def as_written(formula: str) -> str:
    formula = uncommented(formula)
    return without_labels(formula) if "\\label" in formula else formula


def shift(tex: "Scanner") -> None:
    """Read, after a dollar, the formula up to the next one of the same group and paragraph."""
    source = tex.source
    text, begin = source.text, source.position
    simple = SIMPLE.match(text, begin)
    if simple:
        source.position = simple.end()
        tex.keep(f"${simple[0]}")
        return
    double = text.startswith("$", begin)
    end = dollar(tex, begin + double, double)
    if end < 0:
        source.position = begin + double
        tex.out.append("" if double else "$")
        return
    source.position = end
    tex.keep(as_written(text[begin - 1 : end]))


def dollar(tex: "Scanner", position: int, double: bool) -> int:
    """Return where the formula that is open at `position` has ended, or -1."""
    source = tex.source
    text = source.text
    while True:
        match = INSIDE.match(text, position)
        assert match is not None  # it matches anything
        position = match.end()
        found, brace, blank = match.groups()
        if found:
            if double:
                return position if found == "$$" else -1
            return match.start(1) + 1
        if brace == "{":
            position = (source.closing(position - 1) or position - 1) + 1
        elif brace or blank or position >= len(text):
            return -1


def bracket(tex: "Scanner", symbol: str) -> None:
    r"""Read the formula after \( or \[."""
    source = tex.source
    end = source.ahead(CLOSERS[symbol])
    blank = source.ahead(BLANK_LINE)
    if end is None or (blank is not None and blank[0] < end[0]):
        return
    formula = source.text[source.position : end[1]]
    source.position = end[1]
    tex.keep(as_written(f"\\{symbol}{formula}"))


def environment(tex: "Scanner", name: str) -> None:
    r"""Read the formula after \begin{name}, which may stand in a macro, up to its end or to a macro that holds its
    end."""
    ending = tex.ending(name)
    sources = (tex.source, *reversed(tex.outer))
    depth = next((depth for depth, source in enumerate(sources) if source.ahead(ending)), None)
    if depth is None:
        return
    pieces = [source.text[source.position :] for source in sources[:depth]]
    for _ in range(depth):
        tex.source = tex.outer.pop()
    source = tex.source
    found = source.ahead(ending)
    assert found is not None  # it was looked for above
    begin, end = found
    content = "".join([*pieces, source.text[source.position : begin]])
    for macro, body in tex.labelling.items():
        content = re.sub(rf"\\{re.escape(macro)}[ \t]*\{{([^{{}}]*)\}}", partial(labelled, body), content)
    source.position = end if source.text.startswith("\\end", begin) else begin
    tex.numbers.number_formula(name, content)
    tex.keep(f"\\begin{{{name}}}{as_written(content)}\\end{{{name}}}")


def labelled(body: str, match: re.Match[str]) -> str:
    """Return what a macro of the document that sets a label becomes in a formula."""
    return body.replace("#1", match[1])


def ensured(tex: "Scanner", name: str) -> None:
    r"""Read \ensuremath{x} in prose."""
    formula = tex.here().read_token()
    if formula:
        tex.keep(f"${as_written(formula)}$")
