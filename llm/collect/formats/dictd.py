"""Dictionaries in dictd's format (name.index with name.dict or name.dict.dz) to one document per entry.

A document's title is its headword as the entry spells it, its text is the headword line, a blank line and the
definition: whoever wants the definition alone drops the first line. The braces around cross references are removed.
"""

import re
import textwrap
from collections.abc import Iterator

from llm.collect.archive import Archive
from llm.collect.decode import decode
from llm.collect.documents import Document, Report
from llm.errors import InputError

INCLUDE = ["**/*.index"]
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
VALUES = {digit: value for value, digit in enumerate(DIGITS)}


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """One document per entry, in the order of the .dict file. Headwords that share an entry share its document."""
    for name in names:
        if not name.endswith(".index"):
            report.skipped["not a dictionary's index"] += 1
            continue
        body_name = body_of(archive, name)
        index, body = decode(archive.read(name), report), archive.read(body_name)
        for (offset, length), headwords in entries(index, f"{archive.label}: {name}").items():
            if offset + length > len(body):
                raise InputError(
                    f"{archive.label}: {name}: entry '{headwords[0]}' ends at byte {offset + length:,}, "
                    f"{body_name} has {len(body):,}; the two do not belong together"
                )
            if headwords[0].startswith(("00-database", "00database")):
                report.skipped["about the dictionary"] += 1
                continue
            yield entry(decode(body[offset : offset + length], report), headwords, body_name)


def body_of(archive: Archive, name: str) -> str:
    """The .dict or .dict.dz that belongs to an .index."""
    stem = name.removesuffix(".index")
    found = [stem + suffix for suffix in (".dict.dz", ".dict") if stem + suffix in archive.names]
    if not found:
        raise InputError(f"{archive.label}: {name} has no {stem}.dict.dz or {stem}.dict beside it")
    return found[0]


def entries(index: str, label: str) -> dict[tuple[int, int], list[str]]:
    """(offset, length) in bytes -> headwords, in the order of the entries."""
    found: dict[tuple[int, int], list[str]] = {}
    for number, line in enumerate(index.split("\n"), 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) < 3 or not set(fields[1] + fields[2]) <= VALUES.keys():
            raise InputError(f"{label}: line {number} is not 'headword, offset, length' separated by tabs")
        found.setdefault((number_of(fields[1]), number_of(fields[2])), []).append(fields[0])
    return dict(sorted(found.items()))


def number_of(digits: str) -> int:
    """dictd's base-64 number, most significant digit first: 'BA' is 64."""
    value = 0
    for digit in digits:
        value = value * 64 + VALUES[digit]
    return value


def entry(text: str, headwords: list[str], name: str) -> Document:
    """The entry as a document. Its first lines, as far as they are headwords, give the title (and aliases)."""
    known = {plain(headword) for headword in headwords}
    lines = text.strip("\n").expandtabs(8).split("\n")
    title = lines[0].strip() if plain(lines[0]) in known else headwords[0]
    while lines and plain(lines[0]) in known:
        lines.pop(0)
    body = re.sub(r"\{(\S|\S[^{}]*\S)\}", r"\1", "\n".join(lines).strip("\n"))
    first, _, rest = body.partition("\n")  # often indented otherwise than the rest
    body = f"{first.strip()}\n{textwrap.dedent(rest)}".strip()
    return Document(f"{title}\n\n{body}" if body else "", title, f"{name}#{title}")


def plain(text: str) -> str:
    """As dictd compares headwords: case and punctuation do not count (unless nothing else is there)."""
    return re.sub(r"[\W_]+", "", text.lower()) or text.strip().lower()
