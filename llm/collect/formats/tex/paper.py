"""A paper: the text and the title of one TeX document, with what its preamble says of how to read it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm.collect.formats.tex import beamer, citations
from llm.collect.formats.tex.macros import EndlessError
from llm.collect.formats.tex.scanner import Scanner
from llm.collect.formats.tex.source import piece_with

MOST_ENDLESS = 6  # macros
BEGIN = re.compile(r"^[^%\n]*\\begin[ \t]*\{document\}", re.MULTILINE)
SWITCH = re.compile(r"\\newif[ \t]*\\(if[A-Za-z@]+)")
CHAPTERED = re.compile(
    r"\\documentclass[^{}]{0,500}\{[^{}]{0,80}(?:book|report|thesis|memoir|scrreprt)|\\chapter(?![A-Za-z])"
)
GERMAN = re.compile(r"\\(?:usepackage|documentclass)(?:\[[^\]]{0,300}german[^\]]{0,300}\]|\{n?german\})")
SHORT_VERB = re.compile(
    r"\\(?:MakeShortVerb|DefineShortVerb|lstMakeShortInline)\*?(?:\[[^\]]{0,99}\])?\{?\\?([|\"!+/@])\}?|\\documentclass(?:\[[^\]]{0,300}\])?\{ltxdoc\}"
)


@dataclass(frozen=True)
class Paper:
    """A document's text and its title, if it says one."""

    text: str
    title: str | None


def short_verb(source: str) -> str:
    r"""Return the character that \MakeShortVerb{\|} made a kind of \verb, or ''."""
    match = SHORT_VERB.search(source)
    return (match[1] or "|") if match else ""


def read_paper(source: str, styles: Sequence[str] = (), bibliography: str = "") -> Paper:
    """Return the text and the title of a document. `styles`: style files of its own that it uses; `bibliography`: its
    .bbl. A macro that has no end (it calls itself) is not expanded; a document with several of them, or whose macros
    make too much text, is read without expanding any."""
    unexpanded: set[str] = set()
    for _ in range(MOST_ENDLESS):
        try:
            return read_with(source, styles, bibliography, unexpanded, expanding=True)
        except EndlessError as error:
            if not error.args:
                break
            unexpanded.add(error.args[0])
    return read_with(source, styles, bibliography, unexpanded, expanding=False)


def read_with(source: str, styles: Sequence[str], bibliography: str, unexpanded: set[str], *, expanding: bool) -> Paper:
    slides = beamer.is_of_slides(source)
    source = beamer.without_specifications(source) if slides else source
    whole = "\n".join([*styles, source])
    chaptered = CHAPTERED.search(source) is not None
    scanner = Scanner(len(whole), SWITCH.findall(whole), unexpanded, chaptered=chaptered, expanding=expanding)
    if slides:
        beamer.learn(scanner)
    for style in styles:
        scanner.learn(style)
    scanner.piece = piece_with(short_verb(source))
    german = GERMAN.search(source) is not None
    for key, (names, year) in citations.authors(f"{source}\n{bibliography}").items():
        scanner.authors[key] = (" ".join(scanner.read(names).split()), year)
    text = scanner.read(source, preamble=BEGIN.search(source) is not None, german=german)
    title = " ".join(scanner.read(scanner.title, german=german).split()) if scanner.title else ""
    return Paper(text, title or None)
