"""Commands whose arguments are not simply text one after the other: quotations, initials, quantities, pictures."""

import re
from typing import TYPE_CHECKING

from llm.collect.formats.tex.commands import UNITS

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

LONGEST_PICTURE = 2_000
UNIT = re.compile(r"\\([A-Za-z]{1,4})(?![A-Za-z])")
WRITTEN = re.compile(r"\\(?:[A-Za-z@]{1,80}|.)")
PLUS_MINUS = re.compile(r"\\pm(?![A-Za-z])|\+-")
ONE_NUMBER, TWO_NUMBERS = ("SI", "qty"), ("SIrange", "qtyrange", "numrange")


def quoted(tex: "Scanner", name: str) -> None:
    r"""Read \enquote{text} and \textquote[source][mark]{text}."""
    source = tex.here()
    source.skip("soo")
    span = source.group()
    if span is not None:
        source.position = span[0]
        tex.out.append("“")
        tex.groups.append("”")


def initial(tex: "Scanner", name: str) -> None:
    r"""Read \lettrine[lines=2]{W}{hen} and its kin: one word."""
    source = tex.here()
    source.skip("o")
    letter = source.read_token()
    if letter is not None:
        tex.push(f"{letter}{source.read_group() or ''}")


def first(tex: "Scanner", name: str) -> None:
    r"""Read \texorpdfstring{text}{for bookmarks} and \replaced[id]{new}{old}."""
    source = tex.here()
    source.skip("o")
    text = source.read_group()
    if text is not None:
        source.skip("m")
        tex.push(text)


def opened(tex: "Scanner", name: str) -> None:
    r"""Read \twocolumn[what stands above both columns]."""
    text = tex.here().read_option()
    if text is not None:
        tex.push(f"{text}\n\n")


def picture(tex: "Scanner", name: str) -> None:
    r"""Read past \tikz[..]{..} or \tikz \draw ...;, within a paragraph."""
    source = tex.here()
    source.skip("o")
    if source.read_group() is not None:
        return
    begin = source.position
    end = source.text.find(";", begin, begin + LONGEST_PICTURE)
    if end >= 0 and "\n\n" not in source.text[begin:end]:
        source.position = end + 1


def quantity(tex: "Scanner", name: str) -> None:
    r"""Read \SI{3}{\km}, \si{\km}, \SIrange{1}{2}{\km} and their kin. What is no unit of the tables is an abbreviation:
    its name is what it prints."""
    source = tex.here()
    source.skip("o")
    count = 2 if name in TWO_NUMBERS else name in ONE_NUMBER
    numbers = [number for number in (source.read_group() for _ in range(count)) if number]
    source.skip("o" if count else "")
    unit = "" if name == "numrange" else (source.read_group() or "")
    said = " to ".join(PLUS_MINUS.sub("±", number.strip()) for number in numbers)
    unit = UNIT.sub(lambda match: abbreviation(tex, match), unit.strip())
    tex.push(f"{said} {unit}" if said and unit else said + unit)


def abbreviation(tex: "Scanner", match: re.Match[str]) -> str:
    name = match[1]
    if name in UNITS or name in tex.macros:
        return match[0]
    return f"µ{name[1:]}" if name[0] == "u" and len(name) == 2 else name


def short_verb(tex: "Scanner", name: str) -> None:
    r"""Read past \MakeShortVerb{\|}, \lstMakeShortInline[..]| and their kin, which paper.py has looked for."""
    source = tex.here()
    source.skip("so")
    source.read_argument()


def written(tex: "Scanner", name: str) -> None:
    r"""Read \string\name, which writes the name."""
    source = tex.here()
    begin = source.position
    match = WRITTEN.match(source.text, begin)
    if match:
        source.position = match.end()
        tex.keep(match[0])
