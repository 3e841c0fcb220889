"""All heuristic signals against datatrove's Gopher, C4 and FineWeb filters: CPU seconds, side by side in one run.

    snakemake raw
    python -m venv /tmp/peer && /tmp/peer/bin/pip install datatrove==0.10.1 spacy nltk tldextract regex
    python benchmarks/signals.py --peer /tmp/peer/bin/python

Ours computes every signal of at least 100 MB of documents of 1 to 20 kB (repeated until there are so many), from the
column of texts on; datatrove's four filters get a sample of the same, ours and theirs in turns. Its filters stop at the
first reason to drop a document, which is to its advantage. Also: ours on all documents as they are, and its peak memory
for one line of 100 MB.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from llm.text.signals import chunks, signals

ROUNDS = 5
SAMPLE = 40  # documents for the peer in a round
CHUNK = 1 << 23  # as scripts/process/annotate.py has it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the Python of the environment that holds datatrove")
    parser.add_argument("--raw", type=Path, default=Path("results/raw"), help="directory of raw sources")
    parser.add_argument("--line", action="store_true", help="nothing but one line of 100 MB")
    arguments = parser.parse_args()
    if arguments.line:
        one_line()
        return
    files = sorted(arguments.raw.glob("*/part-*.parquet"))
    if not files:
        raise SystemExit(f"error: no shards below {arguments.raw}; run `snakemake raw` first")
    everything = pl.concat([pl.read_parquet(file, columns=["text"]) for file in files])["text"]
    of_pages = everything.filter(everything.str.len_bytes().is_between(1000, 20_000))
    pages = pl.concat([of_pages] * -(-100_000_000 // of_pages.str.len_bytes().sum()))
    signals(pages[:10])  # compile

    peer = Peer(arguments.peer) if arguments.peer else None
    ours, all_ours, theirs = [], [], []
    for round_ in range(ROUNDS):
        ours.append(speed(pages))
        all_ours.append(speed(everything))
        if peer:
            theirs.append(peer.speeds(of_pages.gather_every(len(of_pages) // SAMPLE, round_)[:SAMPLE]))
    size = pages.str.len_bytes().sum()
    print(
        f"{size / 1e6:.0f} MB, {len(pages):,} documents of {size / len(pages) / 1e3:.1f} kB; medians of {ROUNDS} rounds"
    )
    row("all signals, 1 to 20 kB", ours)
    row("all signals, documents as they are", all_ours)
    for name in theirs[0] if theirs else ():
        row(f"datatrove {name}", [found[name] for found in theirs])
    if theirs:
        print(f"ratio {statistics.median(o[0] / t['together'][0] for o, t in zip(ours, theirs, strict=True)):.0f}")
    else:
        print("datatrove was not measured: name the Python of its environment with --peer")
    subprocess.run([sys.executable, __file__, "--line"], check=True)


def speed(texts: pl.Series) -> tuple[float, float]:
    """Bytes and documents per CPU second."""
    begin = time.process_time()
    for first, last in chunks(texts.str.len_bytes().to_list(), CHUNK):
        signals(texts[first:last])
    seconds = time.process_time() - begin
    return texts.str.len_bytes().sum() / seconds, len(texts) / seconds


def row(name: str, speeds: list[tuple[float, float]]) -> None:
    n_bytes, documents = (statistics.median(column) for column in zip(*speeds, strict=True))
    print(f"{name:<36} {n_bytes / 1e6:>9.3f} MB/s {documents:>9,.0f} documents/s")


class Peer:
    """benchmarks/signals_peer.py, running in the peer's environment."""

    def __init__(self, python: str) -> None:
        script = Path(__file__).with_name("signals_peer.py")
        self.process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def speeds(self, texts: pl.Series) -> dict[str, tuple[float, float]]:
        print(json.dumps(texts.to_list()), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("error: the peer stopped; see its message above")
        seconds = json.loads(line)
        size = texts.str.len_bytes().sum()
        return {name: (size / value, len(texts) / value) for name, value in seconds.items()}


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
