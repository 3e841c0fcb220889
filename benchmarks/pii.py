"""The search for personal data: speed side by side, and how much is found rightly on documents whose spans are known.

    make peers && snakemake raw && python benchmarks/pii.py [--raw results/raw]

MB of UTF-8 per CPU second, contenders in turns, medians; slow ones get a sample. Never prints a document's text.
"""

import argparse
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from benchmarks import peers
from benchmarks.compare import RAW, Row, in_turns, repeated, show, size_of, texts_of, timed
from llm.process.pii.find import spans_of
from llm.process.pii.patterns import KINDS
from llm.process.pii.person_names import Finder
from llm.process.pii.spans import Span
from llm.process.quality.signals import chunks
from tests.llm.process.pii.names_corpus import documents as documents_with_names
from tests.llm.process.pii.pii_corpus import documents
from tests.llm.process.pii.whole_text import spans

CHUNK = 8 << 20  # bytes, as scripts/process/annotate.py has it
SLOW = 2_000_000  # bytes that the slow contenders get


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, default=RAW, help="directory of raw sources")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    show(measure(texts_of(options.raw), 100, options.rounds, others=True))
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


def measure(texts: pl.Series, megabytes: int, rounds: int, *, others: bool = False) -> list[Row]:
    """The whole, and a sample beside datatrove; `others`: also beside other ways to search for the same patterns."""
    few = texts.sample(fraction=1, shuffle=True, seed=1)
    few = few.filter(few.str.len_bytes().cum_sum() <= SLOW).alias("text")
    whole = repeated(texts, megabytes)
    spans_of(few)  # compiles
    contenders = [
        (size_of(whole), timed("ours", lambda: all_spans(whole))),
        (size_of(few), timed("ours, the sample", lambda: all_spans(few))),
    ]
    if others:
        contenders += [
            (size_of(few), timed("the patterns by re", lambda: [spans(text) for text in few.to_list()])),
            (size_of(few), timed("one alternation", lambda: [list(TOGETHER.finditer(text)) for text in few.to_list()])),
        ]
        if database := hyperscan_database():
            contenders.append((size_of(few), timed("hyperscan", lambda: scanned(database, few))))
    with tempfile.TemporaryDirectory() as directory:
        if not peers.missing():
            file = Path(directory, "sample.parquet")
            few.to_frame().write_parquet(file)
            contenders.append((size_of(few), peers.work("pii", file)))
        speeds = in_turns(contenders, rounds)
    ours, sample = speeds.pop("ours"), speeds.pop("ours, the sample")
    note = {"datatrove": "e-mail and IPv4 only", "hyperscan": "matches only, nothing checked"}
    return [
        Row("PII scan", ours, at_least=100),
        *(Row("PII scan, a sample", sample, *peer, note=note.get(peer[0], "")) for peer in speeds.items()),
    ]


def all_spans(texts: pl.Series) -> None:
    for first, last in chunks(texts.str.len_bytes().to_list(), CHUNK):
        spans_of(texts[first:last])


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
