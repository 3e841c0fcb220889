"""LaTeX sources to text: equations are kept as they are written, the markup of prose becomes plain.

A main file (\\documentclass) takes in what it \\input{}s, \\include{}s or \\import{}s, packed (.gz) or not; its own
style files give their macros, its .bbl the names that \\citet says. A file without \\begin{document} that no main file
takes in is a chapter. What becomes of the commands is said in llm/collect/formats/tex. pylatexenc reads an eighteenth
as fast (docs/log.md). An arXiv dump is a tar of .gz: `archives: ["**/*.gz"]`.
"""

import posixpath
import re
from collections.abc import Collection, Container, Iterator

from llm.collect.archive import Archive, TooLargeError
from llm.collect.decode import decode, texts
from llm.collect.documents import Document, Report
from llm.collect.formats.plain_text import parts
from llm.collect.formats.tex.paper import read_paper

INCLUDE = ["**/*.tex", "**/*.ltx", "**/*.tex.gz"]
MAIN = re.compile(r"\\document(?:class|style)(?![A-Za-z])")
# a comment and an escaped character come first, so that what they hold is no \input
INPUT = re.compile(
    r"%[^\n]*|\\(?:input|include|subfile|subfileinclude|loadglsentries)(?![A-Za-z])[ \t]*+"
    r"(?:\{\s*+([^{}]+)\}|\"([^\"\n]{1,200})\"|([\w./-]+))"
    r"|\\(?:sub)?(?:import|inputfrom|includefrom)\*?[ \t]*+\{([^{}]*+)\}[ \t]*+\{([^{}]+)\}|\\.",
    re.DOTALL,
)
PACKAGES = re.compile(r"\\(?:usepackage|RequirePackage)[ \t]*(?:\[[^\]]{0,1000}\])?[ \t]*\{([^{}]{1,1000})\}")
MOST_STYLES = 50
# So many times the sources' size, or FREE bytes, are read in all: papers may share what they take in, not without end.
REPEATED, FREE = 20, 64 << 20


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per file that no main file takes in, or several of a long one. Papers of more than is read
    whole, and those beyond what all may take in, are counted."""
    takes: dict[str, list[str]] = {}
    mains: set[str] = set()
    sizes: dict[str, int] = {}
    for name, source in texts(archive, names, Report()):
        sizes[name] = len(source)
        takes[name] = [target for _, target in inputs(source)]
        mains.update([name] if MAIN.search(source) else [])
    inner = set().union(*(reached(main, takes) for main in mains))
    members = set(archive.names)
    left = max(FREE, REPEATED * sum(sizes.values()))
    for name, source in texts(archive, [name for name in names if name not in inner], report):
        if name in mains:
            size = sum(map(sizes.__getitem__, {name, *reached(name, takes)}))
            left -= size
            if left < 0 or size > archive.limits.member:
                report.skipped["too large"] += 1
                continue
            source = inlined(archive, source, name, name, takes, report, {name})
        source = source.replace("\r\n", "\n")
        styles = [archive_text(archive, style) for style in styles_of(source, name, members)]
        left -= sum(map(len, styles))
        bbl = f"{posixpath.splitext(name.removesuffix('.gz'))[0]}.bbl"
        bibliography = next((archive_text(archive, found) for found in (bbl, f"{bbl}.gz") if found in members), "")
        paper = read_paper(source, styles, bibliography)
        yield from parts(paper.text, name, paper.title)


def styles_of(source: str, name: str, members: Collection[str]) -> list[str]:
    """Return the members that are style files which the file `name` uses."""
    folder = posixpath.dirname(name)
    used = (style.strip() for packages in PACKAGES.findall(source) for style in packages.split(","))
    found = (posixpath.normpath(posixpath.join(folder, f"{style}.sty")) for style in used)
    packed = (name for style in found for name in (style, f"{style}.gz"))
    return list(dict.fromkeys(style for style in packed if style in members))[:MOST_STYLES]


def archive_text(archive: Archive, name: str) -> str:
    """Return a member that only helps to read another one; '' if it is too large."""
    try:
        return decode(archive.read(name), Report()).replace("\r\n", "\n")
    except TooLargeError:
        return ""


def inputs(source: str) -> Iterator[tuple[re.Match, str]]:
    r"""Yield every \input that no comment hides, and what it names."""
    for match in INPUT.finditer(source):
        target = match[1] or match[2] or match[3]
        if target:
            yield match, target.strip()
        elif match[5]:
            yield match, posixpath.join(match[4].strip(), match[5].strip())


def resolved(target: str, name: str, main: str, known: Container[str]) -> str | None:
    """Return the member that `target` in the file `name` means: from the main file's folder, else from its own."""
    for folder in (posixpath.dirname(main), posixpath.dirname(name)):
        for suffix in ("", ".tex", ".tex.gz", ".gz"):
            found = posixpath.normpath(posixpath.join(folder, target + suffix))
            if found in known and found != main:
                return found
    return None


def reached(main: str, takes: dict[str, list[str]]) -> set[str]:
    """Return all files that a main file takes in, directly or not."""
    found, left = set(), [main]
    while left:
        name = left.pop()
        for target in takes[name]:
            part = resolved(target, name, main, takes)
            if part is not None and part not in found:
                found.add(part)
                left.append(part)
    return found


def inlined(
    archive: Archive, source: str, name: str, main: str, known: Container[str], report: Report, seen: set[str]
) -> str:
    """Return the source with the files that it takes in, each of them once: so neither circles nor bombs are
    followed."""
    pieces, end = [], 0
    for match, target in inputs(source):
        part = resolved(target, name, main, known)
        if part is None or part in seen or len(seen) > 500:
            continue
        seen.add(part)
        inner = decode(archive.read(part), report)
        pieces += [source[end : match.start()], inlined(archive, inner, part, main, known, report, seen)]
        end = match.end()
    return "".join([*pieces, source[end:]])
