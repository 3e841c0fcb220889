"""Source code to one document per file. Generated and minified files are skipped and counted."""

import re
from collections.abc import Iterator

from llm.text.archive import Archive
from llm.text.decode import decode
from llm.text.documents import Document, Report

INCLUDE = ["**/*.{py,pyx,c,h,cc,cpp,hpp,cu,rs,go,java,js,ts,sh,sql}"]
LARGEST = 1_000_000  # characters
GENERATED = re.compile(
    r"\bDO NOT (?:EDIT|MODIFY)\b|@generated\b|\b(?:auto(?:matically)?[- ]?|machine[- ])generated\b|"
    r"\bGenerated (?:automatically |on .* )?by\b",
    re.IGNORECASE,
)


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """One document per file; its title is the file's name in the archive."""
    for name in names:
        text = decode(archive.read(name), report)
        reason = unwanted(text)
        if reason:
            report.skipped[reason] += 1
            continue
        yield Document(text, name, name)


def unwanted(text: str) -> str | None:
    """Why nobody wrote this file by hand for people to read, or None."""
    if len(text) > LARGEST:
        return "too large"
    lines = text.split("\n")
    if GENERATED.search("\n".join(lines[:8])[:2000]):
        return "generated"
    if max(map(len, lines)) > 1000 or len(text) > 200 * len(lines):
        return "minified"
    return None
