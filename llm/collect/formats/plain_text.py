"""Reads plain text (Markdown too, kept as it is).

Project Gutenberg's legal header and footer are removed. A long text is split into documents of about 8 to 20 kB, at an
act, scene, book or chapter heading if there is one, else between paragraphs: a document should fit a context.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import PurePosixPath

from llm.collect.archive import Archive
from llm.collect.decode import texts
from llm.collect.documents import Document, Report

INCLUDE = ["**/*.txt", "**/*.text", "**/*.md", "**/*.txt.{gz,bz2,xz,zst}"]
SMALLEST, LARGEST = 8_000, 20_000  # characters

HEADING = re.compile(
    r"^[ \t]*(?:(?:the )?(?:act|scene|book|chapter|canto|part|letter|volume|stave|section|appendix)"
    r"[ \t]+(?:[ivxlcdm]+|\d+|the|one|two|three|four|five|six|seven|eight|nine|ten|first|second|third|last)\b.{0,80}"
    r"|the (?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth) (?:book|act|part|canto|chapter).{0,40}"
    r"|(?:prologue|epilogue|preface|introduction|argument)\.?)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
UNDERLINED = re.compile(r"(?:\A|\n\n)(?:([=\-~^\"#*+`])\1{2,}\n)?[ \t]*(\S.*)\n([=\-~^\"#*+`])\3{2,}[ \t]*(?=\n|\Z)")
START = re.compile(
    r"^\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.*?\*\*\*[ \t]*$|"
    r"^\*?END[ *]THE SMALL PRINT!.*$",
    re.IGNORECASE | re.MULTILINE,
)
END = re.compile(
    r"^\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|^End of (?:the |this )?Project Gutenberg",
    re.IGNORECASE | re.MULTILINE,
)


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per file, or several of a long one."""
    for name, text in texts(archive, names, report):
        yield from parts(without_gutenberg(text), name)


def parts(text: str, name: str, title: str | None = None) -> Iterator[Document]:
    """Yield the text as one document, or split. `title`: if it is known; else it is looked for at the text's head."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    title = title or found_title(text, name)
    pieces = split(text)
    for number, piece in enumerate(pieces, 1):
        heading = HEADING.match(piece.lstrip("\n")) if len(pieces) > 1 else None
        label = f"{title}: {heading[0].strip()}" if heading else title
        yield Document(piece, label, name if len(pieces) == 1 else f"{name}#{number}")


def split(text: str, smallest: int = SMALLEST, largest: int = LARGEST) -> list[str]:
    """Cut `text` into pieces of `smallest` to `largest` characters (the last may be shorter) that join to `text`."""
    headings = sorted(match.start() for pattern in (HEADING, UNDERLINED) for match in pattern.finditer(text))
    pieces, begin = [], 0
    while len(text) - begin > largest:
        low, high = begin + smallest, min(begin + largest, len(text) - smallest // 4)
        number = bisect_left(headings, low)
        found = number < len(headings) and headings[number] <= high
        cut = headings[number] if found else best_break(text, low, high)
        pieces.append(text[begin:cut])
        begin = cut
    return [*pieces, text[begin:]]


def best_break(text: str, low: int, high: int) -> int:
    """Return the last paragraph's end, else line's end, else blank in text[low:high], else `high`."""
    for mark in ("\n\n", "\n", " "):
        at = text.rfind(mark, low, high)
        if at >= 0:
            return at + len(mark)
    return high


def without_gutenberg(text: str) -> str:
    """Return a text of Project Gutenberg without the licence and advice before and after the work itself."""
    starts = [match.end() for match in START.finditer(text[: len(text) // 2 + 1])]
    text = text[starts[-1] :] if starts else text
    end = END.search(text, len(text) // 2)
    return text[: end.start()] if end else text


def found_title(text: str, name: str) -> str:
    """Return an underlined first heading, else a short first line, else the file's name."""
    head = text[:2000]
    underlined = UNDERLINED.search(head)
    if underlined:
        return underlined[2].strip()
    first = next((line.strip("# \t") for line in head.split("\n") if line.strip("# \t")), "")
    stem = PurePosixPath(name).name.split(".")[0].replace("_", " ")
    return first if 1 < len(first) <= 80 and not first.startswith(("..", ":", "=", "<", "{")) else stem
