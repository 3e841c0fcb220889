"""Reads dictionaries in dictd's format (name.index with name.dict or name.dict.dz): one document per entry.

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
MOST_DIGITS = 11  # of 64 bits
OVERLAP = 4  # times its size a dictionary's entries may have in all: they may overlap, but not without end


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per entry, in the order of the .dict file. Headwords that share an entry share its document.
    Broken lines of the index and entries that end beyond the .dict are counted; if most do, the two do not belong
    together, and InputError is raised."""
    for name in names:
        if not name.endswith(".index"):
            report.skipped["not a dictionary's index"] += 1
            continue
        body_name = body_of(archive, name)
        where = f"{archive.label}: {name}"
        index, body = decode(archive.read(name), report), archive.read(body_name)
        found = entries(index, where, report)
        inside = {span: headwords for span, headwords in found.items() if sum(span) <= len(body)}
        outside = len(found) - len(inside)
        if outside > len(inside):
            raise InputError(
                f"{where}: {outside:,} of {len(found):,} entries end beyond the {len(body):,} bytes of {body_name}; "
                "the two do not belong together"
            )
        if outside:
            report.skipped["entry outside of the dictionary"] += outside
        left = OVERLAP * len(body)
        for (offset, length), headwords in inside.items():
            left -= length
            if headwords[0].startswith(("00-database", "00database")):
                report.skipped["about the dictionary"] += 1
            elif left < 0:
                report.skipped["entry made of others"] += 1
            else:
                yield entry(decode(body[offset : offset + length], report), headwords, body_name)


def body_of(archive: Archive, name: str) -> str:
    """Return the .dict or .dict.dz that belongs to an .index."""
    stem = name.removesuffix(".index")
    found = [stem + suffix for suffix in (".dict.dz", ".dict") if stem + suffix in archive.members]
    if not found:
        raise InputError(f"{archive.label}: {name} has no {stem}.dict.dz or {stem}.dict beside it")
    return found[0]


def entries(index: str, where: str, report: Report) -> dict[tuple[int, int], list[str]]:
    """Return (offset, length) in bytes -> headwords, in the order of the entries."""
    found: dict[tuple[int, int], list[str]] = {}
    for number, line in enumerate(index.split("\n"), 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        numbers = fields[1:3]
        if len(numbers) < 2 or not all(map(is_number, numbers)):
            problem = f"{where}: line {number} is not 'headword, offset, length' separated by tabs"
            report.broken("broken line of an index", problem)
            continue
        found.setdefault((number_of(numbers[0]), number_of(numbers[1])), []).append(fields[0])
    return dict(sorted(found.items()))


def is_number(digits: str) -> bool:
    return len(digits) <= MOST_DIGITS and set(digits) <= VALUES.keys()


def number_of(digits: str) -> int:
    """Return the value of a number in dictd's base 64, most significant digit first: 'BA' is 64."""
    value = 0
    for digit in digits:
        value = value * 64 + VALUES[digit]
    return value


def entry(text: str, headwords: list[str], name: str) -> Document:
    """Return the entry as a document. Its first lines, as far as they are headwords, give the title (and aliases)."""
    known = {plain(headword) for headword in headwords}
    lines = text.strip("\n").expandtabs(8).split("\n")
    title = lines[0].strip() if plain(lines[0]) in known else headwords[0]
    begin = next((number for number, line in enumerate(lines) if plain(line) not in known), len(lines))
    body = re.sub(r"\{(\S|\S[^{}]*\S)\}", r"\1", "\n".join(lines[begin:]).strip("\n"))
    first, _, rest = body.partition("\n")  # often indented otherwise than the rest
    body = f"{first.strip()}\n{textwrap.dedent(rest)}".strip()
    return Document(f"{title}\n\n{body}" if body else "", title, f"{name}#{title}")


def plain(text: str) -> str:
    """Return a headword as dictd compares it: case and punctuation do not count (unless nothing else is there)."""
    return re.sub(r"[\W_]+", "", text.lower()) or text.strip().lower()
