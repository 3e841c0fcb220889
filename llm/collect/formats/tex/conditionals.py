r"""Follows conditionals: \iffalse hides its text, \newif's switches count, of other tests both branches stay."""

import re
from collections.abc import Container
from typing import TYPE_CHECKING

from llm.collect.formats.tex.source import ADDRESS, NO_ADDRESS

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

TOKENS = {"ifx": 2, "if": 2, "ifcat": 2, "ifdefined": 1, "ifvoid": 1, "ifhbox": 1, "ifvbox": 1, "ifeof": 1}
NUMBERS = ("ifnum", "ifdim", "ifodd", "ifcase")
FIXED = {
    "iftrue": True, "iffalse": False, "ifmmode": False, "ifpdf": True, "ifPDFTeX": True, "ifpdftex": True,
    "ifluatex": False, "ifxetex": False, "ifLuaTeX": False, "ifXeTeX": False, "ifinner": False, "ifvmode": False,
    "ifhmode": True,
}  # fmt: skip
TESTS = (*TOKENS, *NUMBERS, *FIXED, "ifcsname")
BRANCH = re.compile(
    rf"(?:[^\\%]++|\\(?!(?:if|else|fi)|{NO_ADDRESS}).)*+"
    rf"(?:\\(if[A-Za-z@]*+|else|fi)(?![A-Za-z@])|%[^\n]*+|{ADDRESS}|\\|\Z)",
    re.DOTALL,
)
STARRED, NO_VALUE = "*", "-NoValue-"  # what a macro's argument is where a star, or none, was given
TOKEN = re.compile(r"[ \t]*+(?:\\(?:[A-Za-z@]++|.)|[^\s{}])", re.DOTALL)
_VALUE = r"(?:\\value[ \t]*+\{[^{}\n]*+\}|\\[A-Za-z@]++|-?[\d.]++(?:pt|em|ex|cm|mm|in)?)"
NUMBER = re.compile(
    rf"[ \t]*+{_VALUE}[ \t]*+[<=>][ \t]*+{_VALUE}(?![\w\\])[ \t]?"
    r"|[ \t]*+\\value[ \t]*+\{[^{}\n]*+\}|[^{}\n]{0,60}?(?=\\(?:relax|or)(?![A-Za-z])|\n|\{|\})"
)


def branches(text: str, known: Container[str]) -> dict[int, tuple[int, int]]:
    r"""Return where each conditional's name ends -> (where its \else ends, or else its \fi; where its \fi ends). For an
    \else, both are the \fi's end."""
    found: dict[int, tuple[int, int]] = {}
    open_: list[tuple[int, int]] = []
    position = 0
    while position < len(text):
        match = BRANCH.match(text, position)
        assert match is not None  # it matches anything
        position = match.end()
        name = match[1]
        if name == "else" and open_:
            open_[-1] = (open_[-1][0], position)
        elif name == "fi" and open_:
            begin, otherwise = open_.pop()
            found[begin] = (otherwise or position, position)
            if otherwise:
                found[otherwise] = (position, position)
        elif name and name in known:
            open_.append((position, 0))
    return found


def test(tex: "Scanner", name: str) -> None:
    source = tex.source
    begin = source.text.rfind("\\", 0, source.position) + 1 + len(name)
    spans = source.branches(branches, tex.tests)
    value = tex.switches.get(name, FIXED.get(name))
    if value is False and begin in spans:
        source.position = spans[begin][0]
    elif value is None:
        skip_test(tex, name)
        if begin in spans:
            spans.pop(spans[begin][0], None)  # what follows its \else stays too


def skip_test(tex: "Scanner", name: str) -> None:
    """Read past what is compared."""
    source = tex.source
    pattern = NUMBER if name in NUMBERS else TOKEN
    for _ in range(TOKENS.get(name, 1 if name in NUMBERS else 0)):
        match = pattern.match(source.text, source.position)
        source.position = match.end() if match else source.position


def otherwise(tex: "Scanner", name: str) -> None:
    r"""End a branch that was taken, at an \else: what follows up to \fi is not read."""
    source = tex.source
    begin = source.text.rfind("\\", 0, source.position) + 1 + len(name)
    span = source.branches(branches, tex.tests).get(begin)
    if span is not None:
        source.position = span[1]
    elif source.text[source.position - 1 : source.position].isspace():  # both branches stay: as two words, if they are
        tex.out.append(" ")


def switch(tex: "Scanner", name: str) -> None:
    r"""Set a switch: \footrue, \foofalse."""
    value = name.endswith("true")
    tex.switches["if" + name.removesuffix("true" if value else "false")] = value


def chosen(tex: "Scanner", name: str) -> None:
    r"""Take one branch of \IfBooleanTF{#1}{with star}{without}, \IfNoValueTF{#1}{without}{with an argument} and their
    kin."""
    source = tex.here()
    given = (source.read_group() or "").strip()
    value = given == STARRED if "Boolean" in name else (given == NO_VALUE) == ("NoValue" in name)
    for branch in name[len(name.rstrip("TF")) :]:
        text = source.read_group()
        if text and value == (branch == "T"):
            tex.push(text)
            return


def if_star(tex: "Scanner", name: str) -> None:
    r"""Take one branch of \@ifstar{with star}{without}, for the star that follows the macro."""
    source = tex.here()
    starred, plain = source.read_group() or "", source.read_group() or ""
    source = tex.here()
    found = source.text.startswith("*", source.position)
    source.skip("s" if found else "")
    tex.push(starred if found else plain)


def if_next(tex: "Scanner", name: str) -> None:
    r"""Take one branch of \@ifnextchar[{if a bracket follows the macro}{if none}."""
    source = tex.here()
    wanted = source.read_argument()
    present, absent = source.read_group() or "", source.read_group() or ""
    source = tex.here()
    tex.push(present if wanted and source.text.startswith(wanted, source.position) else absent)
