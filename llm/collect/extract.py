"""Collects one source: chooses the members of its archive, extracts them by format, writes raw documents.

Members that are archives themselves (`archives`) are opened in their place, one level deep, one at a time.

One part of N of a source takes every Nth of its members (or inner archives), in the order of names. Where there are
fewer members than parts, and of formats whose members hang together, it takes every Nth document of all of them. So
parts share nothing, and together are the whole.
"""

import posixpath
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from llm.collect.archive import Archive, open_archive
from llm.collect.decompress import LIMITS, Limits, damage_is_input_error
from llm.collect.documents import Document, Report, Writer
from llm.collect.formats import (
    dictd,
    epub,
    html,
    latex,
    mediawiki,
    plain_text,
    rst,
    source_code,
    stackexchange,
    tabular,
    warc,
)
from llm.collect.globs import chooser
from llm.collect.settings import Recipe
from llm.errors import InputError
from llm.progress import progress


@dataclass(frozen=True)
class Format:
    """How a format's documents are extracted, which members it takes when the source names none, which of the recipe's
    fields it needs beside, which members are archives, and whether one member's documents depend on other members."""

    documents: Callable[..., Iterator[Document]]
    include: list[str]
    takes: tuple[str, ...] = ()
    archives: list[str] = field(default_factory=list)
    joined: bool = False


FORMATS = {
    "text": Format(plain_text.documents, plain_text.INCLUDE),
    "rst": Format(rst.documents, rst.INCLUDE),
    "html": Format(html.documents, html.INCLUDE, ("extractor",)),
    "latex": Format(latex.documents, latex.INCLUDE, joined=True),
    "mediawiki": Format(mediawiki.documents, mediawiki.INCLUDE),
    "dict": Format(dictd.documents, dictd.INCLUDE),
    "code": Format(source_code.documents, source_code.INCLUDE),
    "jsonl": Format(tabular.jsonl, tabular.INCLUDE_JSONL, ("column",)),
    "parquet": Format(tabular.parquet, tabular.INCLUDE_PARQUET, ("column",)),
    "warc": Format(warc.documents, warc.INCLUDE, ("extractor",)),
    "epub": Format(epub.documents, epub.INCLUDE, archives=["**/*.epub"]),
    "stackexchange": Format(stackexchange.documents, stackexchange.INCLUDE),
}


def collect(archive: Path, documents: Path, recipe: Recipe, limits: Limits = LIMITS) -> dict:
    """Write the archive's documents into the directory `documents`. Returns {"documents", "bytes", "shards", "members",
    "skipped", "decoded", "languages", "licenses"}, the last four {what: how many}. InputError if nothing comes out."""
    label = f"source '{recipe.source}'"
    if recipe.format not in FORMATS:
        raise InputError(f"{label}: format '{recipe.format}' is unknown; use one of {', '.join(FORMATS)}")
    writer = Writer(
        documents, recipe.source, recipe.domain, recipe.license, recipe.origin, Report(),
        tuple(recipe.refused_licenses), recipe.part, recipe.parts,
    )  # fmt: skip
    collector = Collector(recipe, FORMATS[recipe.format], writer, limits)
    with open_archive(archive, label=label, name=recipe.file, wanted=collector.wanted, limits=limits) as opened:
        turn = recipe.part, recipe.parts
        collector.take(opened, turn, single=archive.is_file() and opened.names == [recipe.file or archive.name])
        names, turn = dealt(list(filter(collector.inner, opened.names)), turn)
        for name in names:
            collector.take_inner(opened, name, turn)
    writer.flush()
    if not writer.documents:
        raise InputError(collector.nothing())
    return writer.metrics() | {"members": collector.members}


def dealt(names: list[str], turn: tuple[int, int]) -> tuple[list[str], tuple[int, int]]:
    """Return which of the names a part takes, and which part of what is in them: every Nth with all that is in it, or,
    where there are fewer names than parts, all of them. turn: which part of how many."""
    part, parts = turn
    return (names[part::parts], (0, 1)) if len(names) >= parts else (names, turn)


class Collector:
    """Takes the documents of one archive after the other, and remembers what to say if there are none."""

    def __init__(self, recipe: Recipe, format: Format, writer: Writer, limits: Limits) -> None:
        label = f"source '{recipe.source}'"
        self.recipe, self.format, self.writer, self.report, self.limits = recipe, format, writer, writer.report, limits
        self.options = {name: getattr(recipe, name) for name in format.takes}
        self.include = recipe.include or format.include
        self.wanted = chooser(self.include, recipe.exclude, label=label)
        self.inner = chooser(recipe.archives or format.archives, recipe.exclude, label=label)
        self.members, self.there, self.problem = 0, 0, ""
        self.sample: list[str] = []

    def take(self, archive: Archive, turn: tuple[int, int], prefix: str = "", *, single: bool = False) -> None:
        """Write an archive's documents whose turn it is. `single`: it is one plain file, whose suffix does not matter
        if the user named this very file. What all parts of a source come across is counted by the first."""
        names = [name for name in archive.names if self.wanted(prefix + name)]
        if single and not self.recipe.include:
            names = archive.names
        links = sum(self.wanted(prefix + name) for name in archive.links)
        twice = sum(self.wanted(prefix + name) for name in archive.twice)
        for reason, count in (("link", links), ("name used twice", twice)):
            self.report.skipped.update({reason: count} if count and turn[0] == 0 else {})
        if not self.format.joined:
            names, turn = dealt(names, turn)
        self.members += len(names)
        self.there += len(archive.names)
        self.sample = self.sample or names[:5] or archive.names[:: max(1, len(archive.names) // 5)][:5]
        report = self.report if turn[0] == 0 else Report()
        documents = self.format.documents(archive, names, report, **self.options)
        for document in islice(documents, turn[0], None, turn[1]):
            self.writer.add(replace(document, part=prefix + document.part))

    def take_inner(self, outer: Archive, name: str, turn: tuple[int, int]) -> None:
        """Do the same for an archive that is a member of one. One that is damaged or refused is counted."""
        label, file = f"{outer.label}: {name}", re.sub(r"\.(?:gz|bz2|xz|zst)$", "", posixpath.basename(name))
        try:
            with tempfile.NamedTemporaryFile() as copy:
                with damage_is_input_error(label), outer.open_raw(name) as packed:
                    shutil.copyfileobj(packed, copy)
                copy.flush()
                opening = open_archive(
                    Path(copy.name), label=label, name=file, limits=self.limits, within=outer.account,
                    wanted=lambda inside: self.wanted(f"{name}/{inside}"),
                )  # fmt: skip
                with opening as opened:
                    self.take(opened, turn, f"{name}/", single=opened.names == [file])
        except InputError as error:
            progress(str(error))
            self.problem = self.problem or str(error)
            self.report.skipped["archive refused"] += turn[0] == 0

    def nothing(self) -> str:
        """Return why a source yields nothing, in one line."""
        recipe, sample = self.recipe, ", ".join(self.sample) or "nothing at all"
        label = f"source '{recipe.source}'"
        if recipe.parts > 1:
            label += f", part {recipe.part + 1} of {recipe.parts} (cut it into fewer),"
        if self.problem:
            return self.problem
        if self.members:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.report.skipped.items()))
            advice = self.report.problem or "look at its format and at include"
            return (
                f"{label} yields nothing: {self.members} members as {recipe.format} "
                f"({sample}): {reasons or 'no text in them'}; {advice}"
            )
        return (
            f"{label} yields nothing: no member matches include {self.include} (exclude "
            f"{recipe.exclude}); there are {self.there:,}, such as {sample}"
        )
