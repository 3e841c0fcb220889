"""Collect one source: choose the members of its archive, extract them by format, write raw documents."""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llm.errors import InputError
from llm.text import code, dictd, html, latex, mediawiki, plain, rst, table
from llm.text.archive import Archive, open_archive
from llm.text.documents import Document, Report, Writer
from llm.text.packed import LIMITS, Limits


@dataclass(frozen=True)
class Format:
    """How a format's documents are extracted and which members it takes when the source names none."""

    documents: Callable[..., Iterator[Document]]
    include: list[str]
    takes: tuple[str, ...] = ()  # fields of the recipe that its `documents` asks for


FORMATS = {
    "text": Format(plain.documents, plain.INCLUDE),
    "rst": Format(rst.documents, rst.INCLUDE),
    "html": Format(html.documents, html.INCLUDE, ("extractor",)),
    "latex": Format(latex.documents, latex.INCLUDE),
    "mediawiki": Format(mediawiki.documents, mediawiki.INCLUDE),
    "dict": Format(dictd.documents, dictd.INCLUDE),
    "code": Format(code.documents, code.INCLUDE),
    "jsonl": Format(table.jsonl, table.INCLUDE_JSONL, ("column",)),
    "parquet": Format(table.parquet, table.INCLUDE_PARQUET, ("column",)),
}


@dataclass(frozen=True)
class Recipe:
    """What to make of an archive. `origin` begins every document's url; `file` is the member's name if the archive is
    one plain file; `include` and `exclude` are globs over member names ([] takes what the format usually is); `column`
    and `extractor` are for the formats that take them."""

    source: str
    origin: str
    file: str
    format: str
    include: list[str]
    exclude: list[str]
    column: str
    extractor: str
    domain: str
    license: str


def collect(archive: Path, documents: Path, recipe: Recipe, limits: Limits = LIMITS) -> dict:
    """Write the archive's documents into the directory `documents`. Returns {"documents", "bytes", "shards", "members",
    "skipped": {reason: n}, "decoded": {charset: n}}. InputError if nothing comes out."""
    label = f"source '{recipe.source}'"
    if recipe.format not in FORMATS:
        raise InputError(f"{label}: format '{recipe.format}' is unknown; use one of {', '.join(FORMATS)}")
    format = FORMATS[recipe.format]
    single = not recipe.include and archive.is_file()
    include = recipe.include or format.include
    wanted = chooser(include, recipe.exclude, label=label)
    report = Report()
    writer = Writer(documents, recipe.source, recipe.domain, recipe.license, recipe.origin, report)
    with open_archive(archive, label=label, name=recipe.file, wanted=wanted, limits=limits) as opened:
        names = [name for name in opened.names if wanted(name)]
        if single and opened.names == [recipe.file or archive.name]:
            names = opened.names  # the user named this very file: its suffix does not matter
        if any(map(wanted, opened.links)):
            report.skipped["link"] += sum(map(wanted, opened.links))
        options = {name: getattr(recipe, name) for name in format.takes}
        for document in format.documents(opened, names, report, **options):
            writer.add(document)
        writer.flush()
        if not writer.documents:
            raise InputError(nothing(recipe, include, opened, names, report))
    return writer.metrics() | {"members": len(names)}


def nothing(recipe: Recipe, include: list[str], opened: Archive, names: list[str], report: Report) -> str:
    """Why a source yields nothing, in one line."""
    sample = ", ".join(names[:5] or opened.names[:: max(1, len(opened.names) // 5)][:5]) or "nothing at all"
    if names:
        reasons = (
            ", ".join(f"{count} {reason}" for reason, count in sorted(report.skipped.items())) or "no text in them"
        )
        return (
            f"source '{recipe.source}' yields nothing: {len(names)} members as {recipe.format} "
            f"({sample}): {reasons}; look at its format and at include"
        )
    return (
        f"source '{recipe.source}' yields nothing: no member matches include {include} (exclude {recipe.exclude}); "
        f"there are {len(opened.names):,}, such as {sample}"
    )


def chooser(include: list[str], exclude: list[str], *, label: str) -> Callable[[str], bool]:
    """True for a member name that some include glob matches and no exclude glob does."""
    yes = [glob(pattern, label) for pattern in include]
    no = [glob(pattern, label) for pattern in exclude]
    return lambda name: (
        any(map(functools.partial(matches, name), yes)) and not any(map(functools.partial(matches, name), no))
    )


def matches(name: str, pattern: re.Pattern) -> bool:
    return pattern.fullmatch(name) is not None


def glob(pattern: str, label: str) -> re.Pattern:
    """A glob as a regular expression: `**/` any folders, `*` and `?` within one name, `{a,b}`, `[abc]`."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|[{},]|.", pattern, re.DOTALL)
    depth, expression = 0, ""
    for token in tokens:
        depth += (token == "{") - (token == "}")
        if token == "," and depth:
            expression += "|"
        elif token.startswith("[") and len(token) > 1:
            expression += token.replace("[!", "[^", 1)
        else:
            expression += parts.get(token, re.escape(token))
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise InputError(f"{label}: glob '{pattern}' is malformed ({error})") from error
