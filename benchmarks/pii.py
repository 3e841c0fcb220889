"""The search for personal data: speed side by side, and how much is found rightly on documents whose spans are known.

    python benchmarks/pii.py [raw shards ...]      # results/raw by default; without any, synthetic documents
    PEER=/path/to/venv/bin/python python benchmarks/pii.py     # datatrove's PIIFormatter too, in its own environment

MB of UTF-8 per CPU second of one process, contenders interleaved, medians. Never prints a document's text.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from llm.text.names import Finder
from llm.text.pii import spans, spans_of
from llm.text.pii_kinds import KINDS
from llm.text.spans import Span
from tests.llm.text.names_corpus import documents as documents_with_names
from tests.llm.text.pii_corpus import documents

ROUNDS = 3
CHUNK = 8 << 20  # bytes, as scripts/process/annotate.py has it
SLOW = 2_000_000  # bytes that the slow contenders get
PEER = """
import json, sys, time
import polars as pl
from datatrove.pipeline.formatters import PIIFormatter
texts = pl.read_parquet(sys.argv[1])["text"].to_list()
formatter = PIIFormatter()
begin = time.process_time()
for text in texts:
    formatter.format(text)
print(time.process_time() - begin)
"""


def main() -> None:
    speed(texts_of([Path(name) for name in sys.argv[1:]] or sorted(Path("results/raw").glob("*/part-*.parquet"))))
    made = list(documents(20_000, seed=1))
    quality(made, spans_of(pl.Series([text for text, _ in made])))
    made = list(documents_with_names(1500, seed=1))
    texts = pl.Series([text for text, _ in made])
    begin = time.process_time()
    found, counts = Finder().names_of(texts)
    taken = time.process_time() - begin
    quality(made, found)
    print(
        f"names: {counts['characters_read']:,} of {texts.str.len_chars().sum():,} characters read in {taken:.1f} CPU s"
    )


def texts_of(files: list[Path]) -> pl.Series:
    """The documents, as they are read from shards."""
    if not files:
        print("no raw shards: timed on synthetic documents, which are nothing but candidates")
        return pl.Series([text for text, _ in documents(100_000, seed=2)])
    return pl.concat([pl.read_parquet(file, columns=["text"]) for file in files])["text"]


def speed(texts: pl.Series) -> None:
    sizes = texts.str.len_bytes()
    few = texts.sample(fraction=1, shuffle=True, seed=1)
    few = few.filter(few.str.len_bytes().cum_sum() <= SLOW)
    spans_of(few)  # compiles
    contenders: dict[str, tuple[Callable, pl.Series]] = {
        "candidates, then patterns": (in_chunks, texts),
        "candidates, then patterns, the sample": (in_chunks, few),
        "the same patterns by re": (lambda some: [spans(text) for text in some.to_list()], few),
        "one alternation by re": (lambda some: [list(TOGETHER.finditer(text)) for text in some.to_list()], few),
    }
    if database := hyperscan_database():
        contenders["hyperscan, matches only"] = (lambda some: scanned(database, some), few)
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (work, some) in contenders.items():
            begin = time.process_time()
            work(some)
            found[name].append(some.str.len_bytes().sum() / 1e6 / (time.process_time() - begin))
        if peer := os.environ.get("PEER"):
            rate = few.str.len_bytes().sum() / 1e6 / peer_seconds(peer, few)
            found.setdefault("datatrove PIIFormatter", []).append(rate)
    if "PEER" not in os.environ:
        print("datatrove: not measured, PEER names no Python that has it")
    ours = statistics.median(found["candidates, then patterns, the sample"])
    print(f"{len(texts):,} documents, {sizes.sum() / 1e6:.1f} MB; the sample {few.str.len_bytes().sum() / 1e6:.1f} MB")
    print(f"{'':40}{'MB/s':>8}{'ours is':>9}")
    for name, rates in found.items():
        print(f"{name:40}{statistics.median(rates):8.1f}{ours / statistics.median(rates):8.1f}x")


def in_chunks(texts: pl.Series) -> None:
    ends = (texts.str.len_bytes().cum_sum() // CHUNK).rle()
    begin = 0
    for length in ends.struct.field("len").to_list():
        spans_of(texts[begin : begin + length])
        begin += length


TOGETHER = re.compile(
    "|".join(re.sub(r"\(\?P<\w+>", "(?:", re.sub(r"\(\?P=\w+\)", "[- ]?", kind.pattern.pattern)) for kind in KINDS)
)
LINEAR = [  # what hyperscan can compile: no look-around, no back-references
    rb"[\w.%+-]@[\w-]+\.", rb"[23][0-9a-fA-F]{3}:[0-9a-fA-F:]", rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
    rb"[A-Z]{2}[0-9]{2}[ -]?[0-9A-Z]{4}[ -]?[0-9A-Z]{4}", rb"[0-9](?:[ -]?[0-9]){13}",
    rb"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}",
    rb"[0-9][-. ][0-9]{3}[-. ][0-9]|\([0-9]{2,5}\) ?[0-9]|\+[0-9][0-9 ()./-]{7}|0[0-9]{1,4}[ /-][0-9]{2}",
]  # fmt: skip


def hyperscan_database():
    try:
        import hyperscan
    except ImportError:
        print("hyperscan: not installed, not measured")
        return None
    database = hyperscan.Database()
    database.compile(expressions=LINEAR, ids=list(range(len(LINEAR))), flags=0)
    return database


def scanned(database, texts: pl.Series) -> int:
    hits: list[int] = []
    for data in texts.cast(pl.Binary).to_list():
        database.scan(data, match_event_handler=lambda number, begin, end, flags, context: hits.append(end))
    return len(hits)


def peer_seconds(python: str, texts: pl.Series) -> float:
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"pii-{os.getpid()}.parquet"
    texts.alias("text").to_frame().write_parquet(file)
    done = subprocess.run([python, "-c", PEER, file], capture_output=True, text=True, check=False)
    file.unlink()
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)


def quality(made: list[tuple[str, list[Span]]], got: Iterable[list[Span]]) -> None:
    """A span counts as found if kind, beginning and end are right."""
    found, known, right = Counter(), Counter(), Counter()
    for own, (_, expected) in zip(got, made, strict=True):
        found.update(span.kind for span in own)
        known.update(span.kind for span in expected)
        right.update(span.kind for span in set(own) & set(expected))
    print(f"\n{'':14}{'planted':>9}{'precision':>11}{'recall':>9}")
    for kind in sorted(known):
        print(f"{kind:14}{known[kind]:9,}{right[kind] / max(1, found[kind]):11.4f}{right[kind] / known[kind]:9.4f}")


if __name__ == "__main__":
    main()
