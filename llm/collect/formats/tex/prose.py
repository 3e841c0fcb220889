"""Says what commands of running text become: headings, captions, footnotes, items, references, signs.

Each handler is called after its command was read, with the scanner and the command's name.
"""

import re
from typing import TYPE_CHECKING

from llm.collect.formats.tex import references
from llm.collect.formats.tex.commands import DROPPED, LITERALS, NAMES, SIGNS, STEPS, UNITS
from llm.collect.formats.tex.layout import END_NOTE, MARKS, NOTE, ROW
from llm.collect.formats.tex.numbers import Target
from llm.collect.formats.tex.source import LONGEST_VERB

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

BARE_NAME = re.compile(r"[ \t]*+[\w./-]{1,200}")
ROW_END = re.compile(r"\*?[ \t]*+(?:\[[^\]\n]{0,40}\])?")
EMPTY = re.compile(r"[ \t]*+\{[ \t]*+\}")
ESCAPED = re.compile(r"\\([%#_&~{}])")
# an argument that is no text: a length, key=value pairs, a table's columns, a file's name
LONGEST_TECHNICAL = 160
LONGEST_TITLE = 200
TECHNICAL = re.compile(
    r"\s*(?:[-+]?[\d.]*[ \t]*(?:pt|em|ex|cm|mm|in|bp|pc|sp|\\(?:text|line|column|paper|h|v)(?:width|height|size))\b\s*"
    r"|[\w ./-]{1,40}=[^\s{}]{0,80},?"
    r"|(?:[lcrXpmbS@!><*\d.\s]|\{[^{}]{0,40}\}){0,40}\|(?:[lcrXpmbS|@!><*\d.\s]|\{[^{}]{0,40}\}){0,60}"
    r"|[\w./-]{1,80}\.(?:pdf|eps|png|jpe?g|svg))"
)
SETTING = re.compile(r"[\s\w/.-]{1,60}=")
ASSIGNED = re.compile(r"=[ \t]*+[-+]?(?:[\d.]++[ \t]*+(?:pt|em|ex|cm|mm|in|bp|pc|sp)(?![a-z])|\d++(?=[\s\\%]))")
REFERENCES = ("ref", "refs", "Ref", "Refs")
NO_TEXT = re.compile(
    r"\$?(?:\\(?:bullet|cdot|circ|ast|star|diamond|triangleright|checkmark|dagger|square|blacksquare)|[^\w\\$]|\s)*\$?"
)
LINE_END = re.compile(r"[ \t]*+\n(?![ \t]*+\n)[ \t]*+")  # behind a command's name it is as good as a blank
NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")


def font(tex: "Scanner", name: str) -> None:
    """Read past a command that is known to write nothing and to take its text as it comes."""


def dropped(tex: "Scanner", name: str) -> None:
    tex.here().skip(DROPPED[name])


def sign(tex: "Scanner", name: str) -> None:
    tex.out.append(SIGNS[name])


def literal(tex: "Scanner", name: str) -> None:
    tex.keep(LITERALS[name])


def length(tex: "Scanner", name: str) -> None:
    """Read past the value that a register of the document's own is given."""
    tex.here().skip("d")


def unit(tex: "Scanner", name: str) -> None:
    tex.out.append(UNITS[name])


def step(tex: "Scanner", name: str) -> None:
    """Write a step's word. What packages give in braces behind its condition is a line of its own."""
    tex.out.append(STEPS[name])
    source = tex.here()
    span = source.group()
    if span and source.text.startswith("{", span[1] + 1):
        source.position = span[0]
        tex.groups.append(" " if name.lower() in ("procedure", "function") else "\n")


def named(tex: "Scanner", name: str) -> None:
    """Write a word; the blank after it is kept, though TeX drops it."""
    source = tex.source
    source.position -= source.position > 0 and source.text[source.position - 1] in " \t"
    tex.out.append(NAMES[name])
    source.position += NAMES[name].endswith(".") and source.text.startswith(".", source.position)


def accent(tex: "Scanner", name: str) -> None:
    source = tex.here()
    empty = EMPTY.match(source.text, source.position)
    if empty:
        source.position = empty.end()
        tex.keep("" if name.isalpha() else name)
    else:
        tex.out.append(MARKS[name])


def unknown(tex: "Scanner", name: str) -> None:
    r"""Read a command that nothing is known of: its name goes, its braces' text stays, arguments apart by a blank. One
    that keeps its blank, as in `\name\ is` and `\name{} is`, wrote a word: its name stands for that."""
    source = tex.here()
    following = source.text[source.position : source.position + 2]
    if following in ("{}", "\\ "):
        tex.out.append(name)
        return
    if following[:1] == "[":
        option = source.option()
        if option is None:
            return
        if not source.text.startswith("{", option[1] + 1):
            if source.text[source.position - 1] not in " \t" and SETTING.match(source.text, *option):
                source.position = option[1] + 1
            return
        source.position = option[1] + 1
    elif following[:1] != "{":
        if following[:1] == "=" and ASSIGNED.match(source.text, source.position):
            source.skip("d")
        return
    elif name.endswith(REFERENCES) and references.of_a_class(tex, name):
        return
    span = past_technical(tex)
    if span and source.text.startswith("{", span[1] + 1):
        source.position = span[0]
        tex.groups.append(" ")


def past_technical(tex: "Scanner") -> tuple[int, int] | None:
    """Read past arguments that are no text. Returns the span of the first that is, or None."""
    source = tex.source
    while source.text.startswith("{", source.position):
        span = source.group()
        if span is None or span[1] - span[0] > LONGEST_TECHNICAL or not TECHNICAL.fullmatch(source.text, *span):
            return span
        source.position = span[1] + 1
    return None


def section(tex: "Scanner", name: str) -> None:
    source = tex.here()
    starred = source.text.startswith("*", source.position)
    source.skip("so")
    span = source.group()
    if span is None:
        return
    tex.numbers.title = source.text[slice(*span)] if span[1] - span[0] < LONGEST_TITLE else ""
    if not starred and not name.endswith("paragraph"):
        tex.numbers.step(name, "section" if name.endswith("section") else name)
    tex.block(span)


def caption(tex: "Scanner", name: str) -> None:
    source = tex.here()
    source.skip("s")
    kind = source.read_group() if name == "captionof" else tex.state.float
    source.skip("o")
    span = source.group()
    if span is None:
        return
    tex.block(span)
    if tex.state.is_part:
        tex.numbers.number_part(kind or "figure")
    elif kind:
        tex.out.append(f"{kind.capitalize()} {tex.numbers.step(kind)}: ")


def subcaption(tex: "Scanner", name: str) -> None:
    r"""Read \subfigure[caption]{..}, \subfloat[list][caption]{..} or \subcaptionbox{caption}{..} up to its braces."""
    source = tex.here()
    source.skip("s")
    options = [option for option in (source.read_option(), source.read_option()) if option is not None]
    text = source.read_group() if name == "subcaptionbox" else options[-1] if options else None
    source.skip("oo" if name == "subcaptionbox" else "")
    tex.numbers.number_part(tex.state.float or "figure")
    if text:
        tex.out.append("\n\n")
        tex.push(f"{text}\n\n")


def footnote(tex: "Scanner", name: str) -> None:
    source = tex.here()
    source.skip("o")
    span = source.group()
    if span is None:
        return
    if not tex.notes:
        source.position = span[1] + 1
        return
    source.position = span[0]
    tex.out.append(NOTE)
    tex.groups.append(END_NOTE)


def item(tex: "Scanner", name: str) -> None:
    source = tex.here()
    label = source.read_option()
    if match := LINE_END.match(source.text, source.position):
        source.position = match.end()
    tex.out.append("\n- ")
    if label is not None:
        label = label.strip()
        if NO_TEXT.fullmatch(label):
            return
        tex.push(label + (" " if label.endswith((":", ".", ")")) or not label else ": "))
    elif tex.state.lists and tex.state.lists[-1] >= 0:
        tex.state.lists[-1] += 1
        tex.numbers.current = Target(numeral(tex.state.lists[-1], len(tex.state.lists)), "item")


def numeral(value: int, depth: int) -> str:
    """Return an item's number in print: 1, b, iii."""
    if depth == 2 and value <= 26:
        return chr(96 + value)
    return NUMERALS[value - 1] if depth == 3 and value <= len(NUMERALS) else str(value)


def label(tex: "Scanner", name: str) -> None:
    found = tex.here().read_group()
    if found is not None:
        tex.numbers.label(found)


def title(tex: "Scanner", name: str) -> None:
    source = tex.here()
    source.skip("so")
    found = source.read_group()
    tex.title = tex.title or found


def abstract(tex: "Scanner", name: str) -> None:
    r"""Read \abstract{text}, which some classes have before the document begins."""
    source = tex.here()
    span = source.group()
    if span is None:
        return
    if tex.preamble:
        tex.abstracts.append(source.text[slice(*span)])
        source.position = span[1] + 1
    else:
        tex.block(span)


def as_it_is(tex: "Scanner", name: str) -> None:
    r"""Keep \url{..}, \lstinline[..]{..}, \verb|..| and their kin as they are."""
    source = tex.here()
    source.skip({"lstinline": "o", "mintinline": "om", "verb": "s"}.get(name, ""))
    source.position -= not name.isalpha()  # \MakeShortVerb
    text, begin = source.text, source.position
    if text.startswith("{", begin):
        found = source.read_group()
    else:
        end = text.find(text[begin], begin + 1, begin + 1 + LONGEST_VERB) if begin < len(text) else -1
        found = text[begin + 1 : end] if end >= 0 else None
        if found is None or "\n" in found:
            source.position += not name.isalpha()
            tex.out.append("" if name.isalpha() else name)
            return
        source.position = end + 1
    if found:
        tex.keep(ESCAPED.sub(r"\1", found) if name in ("url", "nolinkurl", "path") else found)


def inputted(tex: "Scanner", name: str) -> None:
    """Read past a file that could not be taken in."""
    source = tex.here()
    if source.read_group() is None and (match := BARE_NAME.match(source.text, source.position)):
        source.position = match.end()


def row_end(tex: "Scanner", name: str) -> None:
    r"""End a line or a table's row, after \\ or \tabularnewline."""
    source = tex.source
    match = ROW_END.match(source.text, source.position)
    assert match is not None  # it matches anything
    source.position = match.end()
    tables = tex.state.tables
    tex.out.append("\n" if not tables else ROW if tables == 1 else " ")
    span = source.group() if name == "tablenotetext" else None
    if span is not None:
        source.position = span[0]
        tex.groups.append(" ")


def within(tex: "Scanner", name: str) -> None:
    r"""Read \numberwithin{equation}{section} and its kin."""
    source = tex.here()
    inner, outer = source.read_group(), source.read_group()
    if inner and outer:
        tex.numbers.within[inner.strip()] = outer.strip()


def appendix(tex: "Scanner", name: str) -> None:
    tex.numbers.start_appendix()
