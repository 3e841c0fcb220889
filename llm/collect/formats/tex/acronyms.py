r"""Acronyms and entries of glossaries: \ac{cpu} and \gls{cpu} say what \newacronym{cpu}{CPU}{..} defined.

The first time an acronym is used its long form is written, with the short one in brackets; after that the short one.
What nothing defines is said as its key. Packages acronym, acro, glossaries and glossaries-extra.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

_INNER = r"\{(?:[^{}]++|\{[^{}]*+\})*+\}"
VALUE = rf"[ \t]*+=\s*+(?:\{{((?:[^{{}}]++|{_INNER})*+)\}}|((?:[^,{{}}]++|{_INNER})*+))"
NAME, SHORT, LONG = (re.compile(rf"\b{key}{VALUE}") for key in ("name", "short", "long"))
FORMS = {
    "auto": ("gls", "ac", "Gls", "Ac", "iac", "Iac"),
    "short": ("acrshort", "acs", "glsentryshort", "glsxtrshort", "acsu", "glsname", "glstext", "glsentryname"),
    "long": ("acrlong", "acl", "glsentrylong", "glsxtrlong", "Acrlong", "Acl", "aclu", "Glsxtrlong"),
    "full": ("acrfull", "acf", "glsxtrfull", "glsfirst", "Acrfull", "Acf", "acfi"),
}
PLURALS = {
    "auto": ("glspl", "acp", "Glspl", "Acp"), "short": ("acrshortpl", "acsp", "glsxtrshortpl"),
    "long": ("acrlongpl", "aclp", "glsxtrlongpl"), "full": ("acrfullpl", "acfp", "glsxtrfullpl"),
}  # fmt: skip
USES = {name: (form, "") for form, names in FORMS.items() for name in names}
USES |= {name: (form, "s") for form, names in PLURALS.items() for name in names}


@dataclass
class Acronym:
    """`long`: '' for an entry that is no acronym. `used`: whether its long form was written."""

    short: str
    long: str = ""
    used: bool = False


def acronym(tex: "Scanner", name: str) -> None:
    r"""Learn \newacronym[..]{key}{short}{long}, or \acrodef{key}[short]{long} and its kin. \acro is a list's item."""
    source = tex.here()
    source.skip("o" if name in ("newacronym", "newabbreviation") else "s")
    begin = source.position
    key = source.read_group()
    short = source.read_group() if name in ("newacronym", "newabbreviation") else source.read_option()
    long = source.read_group()
    if name == "acro" and key and long is None:  # of a class that sets capitals small
        source.position = begin
    if key is None or long is None:
        return
    short = short if short is not None else key
    tex.acronyms[key.strip()] = Acronym(short, long)
    if name == "acro" and not tex.preamble:
        tex.out.append("\n- ")
        tex.push(f"{short}: {long}\n")


def entry(tex: "Scanner", name: str) -> None:
    r"""Learn \newglossaryentry{key}{name=..} and \DeclareAcronym{key}{short=.., long=..}."""
    source = tex.here()
    key, settings = source.read_group(), source.read_group()
    source.skip("m" if name.startswith("long") else "")
    if key is None or settings is None:
        return
    short, long = value(SHORT if name == "DeclareAcronym" else NAME, settings), value(LONG, settings)
    tex.acronyms[key.strip()] = Acronym(short or key, long if name == "DeclareAcronym" else "")


def value(pattern: re.Pattern[str], settings: str) -> str:
    found = pattern.search(settings)
    return (found[1] or found[2] or "").strip() if found else ""


def use(tex: "Scanner", name: str) -> None:
    source = tex.here()
    source.skip("so")
    key = source.read_group()
    if key is None:
        return
    form, ending = USES[name]
    found = tex.acronyms.get(key.strip()) or Acronym(key)
    if form == "auto":
        form, found.used = "short" if found.used else "full", True
    if not found.long or form == "short":
        text = found.short + ending
    else:
        text = found.long + ending + (f" ({found.short}{ending})" if form == "full" else "")
    tex.push(text[:1].upper() + text[1:] if name[0].isupper() else text)
