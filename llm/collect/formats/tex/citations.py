"""Citations: dropped where they stand beside the sentence, said where they are part of it.

`\\citet{x} show` becomes `Knuth (1984) show` if the bibliography names the authors, else `[3] show`, numbered in the
order of citation. A \\cite that follows a word like `by`, or begins a sentence that goes on, is part of it too.
.bib files are not read.
"""

import re
from typing import TYPE_CHECKING

from llm.collect.formats.tex.layout import GAP
from llm.collect.formats.tex.source import Source

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

ITEM = re.compile(r"\\bibitem(?![A-Za-z])")
NAMES_AND_YEAR = re.compile(r"(.{1,300}?)\((\d{4}[^()]{0,20})\)", re.DOTALL)
NAMED = {"citet", "Citet", "textcite", "Textcite", "citeasnoun", "citeN", "shortciteN", "citeauthor", "Citeauthor"}
BEFORE = frozenset(
    ["by", "in", "from", "of", "see", "also", "with", "to", "and", "or", "than", "as", "on", "for", "following", "via"]
    + ["using", "per", "like", "cf.", "e.g.", "i.e.", "ref.", "refs.", "eq.", "von", "bei", "nach", "in", "par", "dans"]
    + ["de", "selon", "por", "da", "di", "secondo"]
)
LAST_WORD = re.compile(r"(?:^|[\s~(\[])([^\s~(\[]{1,20})\Z")
GOES_ON = re.compile(r"(?:[ \t~]|\n(?!\n)){1,4}[a-z]")


def authors(bibliography: str) -> dict[str, tuple[str, str]]:
    r"""Return key -> (TeX of the authors' names, year), as natbib's \bibitem[Knuth(1984)]{key} says them."""
    source, found = Source(bibliography), {}
    for match in ITEM.finditer(bibliography):
        source.position = match.end()
        label, key = source.read_option(), source.read_group()
        known = NAMES_AND_YEAR.match((label or "").strip().removeprefix("{"))
        if known and key:
            found[key.strip()] = (known[1].strip(), known[2].strip())
    return found


def citation(tex: "Scanner", name: str) -> None:
    source = tex.here()
    source.skip("soo")
    keys = source.read_group()
    if keys is None or name == "nocite":
        return
    found = [key.strip() for key in keys.split(",")]
    for key in found:
        tex.cited.setdefault(key, len(tex.cited) + 1)
    if name in NAMED:
        said = " and ".join(named(tex, key, with_year=not name.lower().endswith("author")) for key in found)
        tex.keep(said)
    elif part_of_sentence(tex.out, source):
        tex.keep(f"[{', '.join(str(tex.cited[key]) for key in found)}]")
    else:
        tex.out.append(GAP)


def named(tex: "Scanner", key: str, *, with_year: bool) -> str:
    if key not in tex.authors:
        return f"[{tex.cited[key]}]"
    names, year = tex.authors[key]
    return f"{names} ({year})" if with_year else names


def part_of_sentence(out: list[str], source: Source) -> bool:
    """Does a citation end what was written so far, or begin what comes?"""
    before = "".join(out[-4:])[-60:].rstrip(" \t\n~")
    if not before or before[-1] in ".!?":
        return GOES_ON.match(source.text, source.position) is not None
    word = LAST_WORD.search(before)
    return word is not None and word[1].lower().rstrip(",") in BEFORE
