"""All heuristic signals against datatrove's Gopher, C4 and FineWeb filters: CPU seconds, side by side in one run.

    make peers && snakemake raw && python benchmarks/signals.py [--raw results/raw]

Ours computes every signal of at least 100 MB of documents of 1 to 20 kB (repeated until there are so many), from the
column of texts on; datatrove's four filters get a sample of the same, ours and theirs in turns. Its filters stop at the
first reason to drop a document, which is to its advantage. Also: ours on all documents as they are, and its peak memory
for one line of 100 MB.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks import peers
from benchmarks.compare import RAW, Row, in_turns, repeated, show, size_of, texts_of, timed
from llm.process.quality.signals import chunks, signals

SAMPLE = 40  # documents for the peer
CHUNK = 1 << 23  # as scripts/process/annotate.py has it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, default=RAW, help="directory of raw sources")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--line", action="store_true", help="nothing but one line of 100 MB")
    arguments = parser.parse_args()
    if arguments.line:
        one_line()
        return
    show(measure(texts_of(arguments.raw), 100, arguments.rounds))
    subprocess.run([sys.executable, __file__, "--line"], check=True)


def measure(texts: pl.Series, megabytes: int, rounds: int) -> list[Row]:
    of_pages = texts.filter(texts.str.len_bytes().is_between(1000, 20_000))
    sample = of_pages.gather_every(-(-len(of_pages) // SAMPLE))
    all_pages, everything = repeated(of_pages, megabytes), repeated(texts, megabytes)
    contenders = [
        (size_of(all_pages), timed("pages", lambda: all_signals(all_pages))),
        (size_of(everything), timed("everything", lambda: all_signals(everything))),
    ]
    signals(texts[:10])  # compiles
    with tempfile.TemporaryDirectory() as directory:
        if not peers.missing():
            file = Path(directory, "sample.parquet")
            sample.alias("text").to_frame().write_parquet(file)
            contenders.append((size_of(sample), peers.work("filters", file)))
        speeds = in_turns(contenders, rounds)
    rows = [
        Row("heuristic signals", speeds.pop("everything"), at_least=50, note="documents as they are"),
        Row("heuristic signals", speeds.pop("pages"), at_least=50, note="documents of 1 to 20 kB"),
    ]
    ours = rows[-1].ours
    return [
        *rows,
        *(Row("heuristic signals", ours, *peer, times=50 * (peer[0] == "datatrove")) for peer in speeds.items()),
    ]


def all_signals(texts: pl.Series) -> None:
    for first, last in chunks(texts.str.len_bytes().to_list(), CHUNK):
        signals(texts[first:last])


def one_line() -> None:
    text = " ".join(f"word{i * 2654435761 % 99991} of it" for i in range(6_500_000))[:100_000_000]
    texts = pl.Series([text])
    del text
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signals(texts)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"one line of {texts.str.len_bytes()[0] / 1e6:.0f} MB: peak {after / 1e3:,.0f} MB ({before / 1e3:,.0f} before)"
    )


if __name__ == "__main__":
    main()
