"""Raw documents: the schema of results/raw/<source>/, what an extractor yields, and the writer of sharded parquet.

The writer drops what can be no document (empty, NUL characters, lone surrogates) and counts it. Quality is judged
later, by stage 2.
"""

import hashlib
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import polars as pl

from llm.collect.licenses import refuses
from llm.progress import progress

UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # ends of lines among them
SCHEMA = pl.Schema(
    {
        "id": pl.String,  # "<source>/<number, 8 digits>", in file order; see Writer
        "text": pl.String,
        "title": pl.String,  # headword, page title; may be null
        "url": pl.String,  # origin, member and, if the member holds several documents, "#" and which
        "source": pl.String,
        "domain": pl.String,
        "license": pl.String,
        "sha256": pl.String,  # of the text in UTF-8
    }
)
SHARD_BYTES = 64 << 20
MOST_BESIDE = 4  # times the texts' limit for what stands beside them
ROW_GROUP = 8192
PROGRESS_S = 5


@dataclass(frozen=True)
class Document:
    """One text that an extractor found. `part` is the member's name, with "#..." where it is a part of the member.
    `url`: the text's own address, if it has one, instead of origin and part. `license`: its own, if it states one."""

    text: str
    title: str | None
    part: str
    url: str | None = None
    license: str | None = None


@dataclass
class Report:
    """Counts what happens on the way: why members or texts were skipped, and which encodings, languages (of programs)
    and licences were met. `problem`: what was wrong with the first record that was broken."""

    skipped: Counter[str] = field(default_factory=Counter)
    decoded: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    problem: str = ""

    def broken(self, reason: str, problem: str) -> None:
        """Count a record that is skipped because it is broken. `problem` says where and how."""
        self.skipped[reason] += 1
        self.problem = self.problem or problem


@dataclass
class Writer:
    """Writes documents of one source into part-00000.parquet, part-00001.parquet, ... of at most `shard_bytes` of text
    each; a larger document is skipped. The bytes written depend on the documents only. `refused`: globs of licences.
    Documents are numbered `first`, `first` + `step`, ...: so the parts of one source share no number."""

    directory: Path
    source: str
    domain: str
    license: str
    origin: str
    report: Report
    refused: tuple[str, ...] = ()
    first: int = 0
    step: int = 1
    shard_bytes: int = SHARD_BYTES
    documents: int = 0
    bytes: int = 0
    shards: int = 0
    pending: list[dict[str, str | None]] = field(default_factory=list)
    pending_bytes: int = 0
    beside_bytes: int = 0  # of titles and addresses
    shown: float = field(default_factory=time.monotonic)

    def add(self, document: Document) -> None:
        text = normalised(document.text)
        reason = unusable(text)
        if reason:
            self.report.skipped[reason] += 1
            return
        data = text.encode()
        license = document.license or self.license
        if len(data) > self.shard_bytes:
            self.report.skipped["too large"] += 1
            return
        if self.refused and refuses(self.refused, license):
            self.report.skipped["licence refused"] += 1
            return
        self.report.licenses[license] += 1
        full = self.pending_bytes + len(data) > self.shard_bytes or self.beside_bytes > MOST_BESIDE * self.shard_bytes
        if self.pending and full:
            self.flush()
        title = " ".join(printable(document.title or "").split()) or None
        self.pending.append(
            {
                "id": f"{self.source}/{self.first + self.documents * self.step:08d}",
                "text": text,
                "title": title,
                "url": on_one_line(document.url or f"{self.origin}/{document.part}"),
                "source": self.source,
                "domain": self.domain,
                "license": license,
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
        self.documents += 1
        self.bytes += len(data)
        self.pending_bytes += len(data)
        self.beside_bytes += len(title or "") + len(document.url or "")
        if time.monotonic() - self.shown > PROGRESS_S:
            self.shown = time.monotonic()
            progress(f"{self.source}  {self.documents:,} documents  {self.bytes / 1e6:.1f} MB")

    def flush(self) -> None:
        if not self.pending:
            return
        frame = pl.DataFrame(self.pending, schema=SCHEMA, orient="row").rechunk()
        frame.write_parquet(
            self.directory / f"part-{self.shards:05d}.parquet",
            compression="zstd",
            statistics=False,
            row_group_size=ROW_GROUP,
        )
        self.shards += 1
        self.pending, self.pending_bytes, self.beside_bytes = [], 0, 0

    def metrics(self) -> dict:
        return {
            "documents": self.documents,
            "bytes": self.bytes,
            "shards": self.shards,
            "skipped": dict(sorted(self.report.skipped.items())),
            "decoded": dict(sorted(self.report.decoded.items())),
            "languages": dict(sorted(self.report.languages.items())),
            "licenses": dict(sorted(self.report.licenses.items())),
        }


def normalised(text: str) -> str:
    r"""Return the text with \n as its line ends, without a byte order mark, blank lines at the ends and blanks at line
    ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").removeprefix("\ufeff")
    return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip("\n")


def unusable(text: str) -> str | None:
    """Return why a text can be no document, or None."""
    if not text.strip():
        return "empty"
    if "\0" in text:
        return "nul"
    if re.search("[\ud800-\udfff]", text):
        return "surrogate"
    return None


def printable(text: str) -> str:
    """Return the text with what cannot be written as UTF-8 shown as escapes, without NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "")


def on_one_line(address: str) -> str:
    """Return an address, be it a record's own or a member's name, with what ends a line or steers a terminal in percent
    signs, as in URLs."""
    return UNSEEN.sub(lambda found: quote(found[0]), printable(address))
