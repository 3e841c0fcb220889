r"""Slides made with beamer: overlay specifications go, titles of frames and blocks become lines of their own.

`\item<2->`, `\only<1>{text}` and `\begin{block}<3->{Title}` say on which slides a text is shown; all slides' text is
the document's. What is no text of the slides (themes, colours, transitions) is in the tables below, which count for
documents of this class alone. beamer's user guide, chapter 9, says where specifications may stand.
"""

import re
from typing import TYPE_CHECKING

from llm.collect.formats.tex.commands import Environment, environments, table

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

SLIDES = re.compile(
    r"\\documentclass[^{}]{0,500}\{[^{}]{0,40}beamer|\{beamerarticle\}|\\begin[ \t]*\{frame\}|\\frametitle"
)
VERBATIM = re.compile(r"(\\(?:begin|end)\{(?:verbatim|lstlisting|Verbatim|minted)\*?\})")
# <1->, <+-| alert@2>, <presentation>, <.->, <article:0| beamer:1>, <>, and \1 within a macro's body is none
_SPECIFICATION = r"<(?:[\d+*.,| \t()@-]|(?:alert|only|visible|invisible|uncover|action|shake|structure)@" + (
    r"|(?:beamer|presentation|article|handout|trans|second|all|none)(?::[\d+.,-]*)?)*+>"
)
SPECIFIED = re.compile(
    r"(\\(?:item(?![A-Za-z])[ \t]*+(?:\[[^\[\]\n]{0,200}\])?[ \t]*+|begin\{[A-Za-z]{1,40}\*?\}|[A-Za-z]{1,40}\*?)"
    rf"|(?<=[\]}}]))\+?(?:{_SPECIFICATION}){{1,3}}"
)
# by what follows them and is no text, as in commands.py
DROPPED = table(r"""
o: pause tableofcontents transblindshorizontal transblindsvertical transboxin transboxout transcover transdissolve
o: transfade transfly transglitter transpush transreplace transsplithorizontalin transsplithorizontalout
o: transsplitverticalin transsplitverticalout transwipe
m: transduration againframe inst setbeamercovered setbeamersize beamerdefaultoverlayspecification resetcounteronoverlays
m: beamersetaveragebackground beamertemplateshadingbackground column pgfuseimage setbeameroption logo titlegraphic
m: setjobnamebeamerversion
om: usetheme usecolortheme usefonttheme useinnertheme useoutertheme usebeamercolor usebeamerfont usebeamertemplate
om: AtBeginSection AtBeginSubsection AtBeginPart AtBeginLecture
mm: setbeamercolor setbeamerfont
mom: setbeamertemplate
smom: defbeamertemplate
omm: pgfdeclareimage movie
s: mode onslide
""")
HEADINGS = ("frametitle", "framesubtitle", "note")
TITLED = {
    **environments("titled", "oo", "frame"),
    **environments("titled", "", "block alertblock exampleblock"),
    **environments("paragraph", "mmmm", "altenv"),
    **environments("paragraph", "mm", "overlayarea beamercolorbox"),
    **environments("paragraph", "o", "onlyenv uncoverenv visibleenv invisibleenv actionenv columns overprint"),
    **environments("paragraph", "om", "column"),
}


def is_of_slides(source: str) -> bool:
    return SLIDES.search(source) is not None


def without_specifications(source: str) -> str:
    """Return the source without overlay specifications, but for those in verbatim text."""
    parts = VERBATIM.split(source)
    open_until = ""
    for number, part in enumerate(parts):
        if number % 2:
            open_until = "" if part == open_until else open_until or part.replace("\\begin", "\\end")
        elif not open_until:
            parts[number] = SPECIFIED.sub(r"\1", part)
    return "".join(parts)


def learn(tex: "Scanner") -> None:
    """Teach a scanner the commands of slides."""
    tex.commands |= dict.fromkeys(DROPPED, dropped) | dict.fromkeys(HEADINGS, heading)
    tex.commands |= dict.fromkeys(("alt", "temporal"), either)
    tex.environments |= TITLED


def dropped(tex: "Scanner", name: str) -> None:
    tex.here().skip(DROPPED[name])


def heading(tex: "Scanner", name: str) -> None:
    source = tex.here()
    source.skip("so")
    span = source.group()
    if span is not None:
        tex.block(span)


def either(tex: "Scanner", name: str) -> None:
    r"""Read \alt{..}{..} and \temporal{..}{..}{..}: all of them are shown, on one slide or another."""
    source = tex.here()
    texts: list[str] = []
    while len(texts) < (2 if name == "alt" else 3):
        found = source.read_group()
        if found is None:
            break
        texts.append(found)
    tex.push(" ".join(texts))


def open_titled(tex: "Scanner", environment: Environment) -> None:
    r"""Begin a frame or a block: what is in the braces behind its \begin is a paragraph of its own."""
    source = tex.source
    source.skip(environment.arguments)
    tex.out.append("\n\n")
    span = source.group()
    if span is None:
        return
    if source.text.startswith("{", span[1] + 1):
        tex.push(f"{source.read_group()}\n\n{source.read_group()}\n\n")
    else:
        tex.block(span)
