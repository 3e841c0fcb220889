"""From the scanner's output to text: marks become what they stand for, blanks and line ends are put in order.

Marks are lone surrogates, which no decoded text holds. Between OPEN and CLOSE stands the number of a piece that is kept
as it is (a formula, verbatim text) or that is known only in the end (a reference).
"""

import re
import unicodedata
from collections.abc import Callable

from llm.collect.formats.tex.commands import ACCENTS

OPEN, CLOSE = "\ud800", "\ud801"
NOTE, END_NOTE = "\ud802", "\ud803"  # a footnote, which goes to the end of its paragraph
CELL, ROW = "\ud804", "\ud805"
GAP = "\ud806"  # a citation was here
BREAK = "\ud807"  # between a command in a macro's body and an argument that begins with a letter
MARKS = {name: chr(0xD810 + number) for number, name in enumerate(ACCENTS)}
COMBINING = {MARKS[name]: mark for name, mark in ACCENTS.items()}
SPACING = {MARKS[name]: name for name in "'`^\"~=."}
DOTLESS = {"ı": "i", "ȷ": "j"}
OPENED, CLOSED = re.compile(r"[ ]?[(\[][;, ]*\Z"), re.compile(r"[;, ]*[)\]]")
PUNCTUATION = tuple(",.;:)")
GERMAN = {'"a': "ä", '"o': "ö", '"u': "ü", '"A': "Ä", '"O': "Ö", '"U': "Ü", '"s': "ß", '"z': "ß", '"`': "„", "\"'": "“",
          '"-': "", '"=': "-", '"~': "-", '"|': "", '""': ""}  # fmt: skip


def finished(output: str, kept: list[str | Callable[[], str]], *, german: bool) -> str:
    """Return the text of a document. `kept`: the pieces that marks in `output` stand for."""
    text = output.replace(BREAK, "")
    if german:
        text = re.sub(r"\"[aouAOUsz`'=~|\"-]", lambda match: GERMAN[match[0]], text)
    text = text.replace("~", " ").replace("``", "“").replace("''", "”").replace("---", "—").replace("--", "–")
    text = re.sub("((?:[\ud810-\ud81f][ \t]*+)++)(.?)", accented, text)
    if NOTE in text:
        text = notes_below(text)
    if GAP in text:
        text = without_gaps(text)
    text = squeezed(text)
    return re.sub(f"{OPEN}(\\d+){CLOSE}", lambda match: piece(kept[int(match[1])]), text).strip()


def piece(kept: str | Callable[[], str]) -> str:
    return kept if isinstance(kept, str) else kept()


def accented(match: re.Match[str]) -> str:
    """Return a letter with its accents, the outermost written first."""
    marks = match[1].replace(" ", "").replace("\t", "")
    letter = DOTLESS.get(match[2], match[2])
    if not letter.isalpha():
        return "".join(SPACING.get(mark, "") for mark in marks) + match[2]
    return unicodedata.normalize("NFC", letter + "".join(COMBINING[mark] for mark in reversed(marks)))


def squeezed(text: str) -> str:
    """Leave one blank, one empty line at most, and no blanks at the ends of lines."""
    text = re.sub(r"[ \t]{2,}", " ", text).replace("\t", " ")
    text = text.replace(" \n", "\n").replace("\n ", "\n")
    return re.sub(r"\n{3,}", "\n\n", text)


def without_gaps(text: str) -> str:
    """Remove citations with their brackets and with the blank before them."""
    out = []
    before, *others = text.split(GAP)
    for number, after in enumerate(others, 1):
        if number < len(others) and not after.strip(" ,;"):
            continue  # what stands between two citations
        opened, closed = OPENED.search(before, max(0, len(before) - 20)), CLOSED.match(after)
        if opened and closed:
            before, after = before[: opened.start()], after[closed.end() :]
        if after.startswith(PUNCTUATION):
            before = before.rstrip(" ").removesuffix("\n")
        elif not after[:1].isalnum():
            before = before.rstrip(" ")
        out.append(before)
        before = after
    return "".join([*out, before])


def notes_below(text: str) -> str:
    """Put footnotes, as paragraphs of their own, below the paragraph that they belong to."""
    out: list[str] = []
    notes: list[list[str]] = []  # finished ones and, last, those that are open
    depth = 0
    for part in re.split(f"({NOTE}|{END_NOTE}|\n[ \t]*+\n)", text):
        if part == NOTE:
            depth += 1
            notes.append([])
        elif part == END_NOTE:
            depth = max(0, depth - 1)
        elif depth:
            notes[-1].append(" " if part.isspace() else part)
        elif part.count("\n") == 2 and part.isspace():
            out += [part, *(f"{''.join(note)}\n\n" for note in notes)]
            notes = []
        else:
            out.append(part)
    return "".join([*out, *(f"\n\n{''.join(note)}" for note in notes)])


def rows(content: str) -> str:
    """Return a table's content as lines, its cells with ` | ` between."""
    lines = []
    for row in content.split(ROW):
        cells = [" ".join(cell.split()) for cell in row.split(CELL)]
        lines += [" | ".join(cell for cell in cells if cell)] if any(cells) else []
    return "\n".join(lines)
