"""Text and tokens beside their peers, step by step, on one corpus in one run: what issue 4 asks for, holds or missed.

    make bench        (or: make peers && snakemake raw && python benchmarks/data.py [--raw results/raw])

Every step is a benchmark of its own that tells more: minhash.py, signals.py, pii.py, tokens.py, html_pages.py. CPU
seconds of contenders that take turns, without start-up and compilation; medians. The corpus is repeated until it has
--megabytes (for MinHash with words replaced, or else all would be duplicates). HTML pages are fetched from pinned
packages (kept in --pages, if given). Tokenizers are trained on a part of it first. Exit status 1: something missed.
"""

import argparse
import os
import tempfile
from datetime import date
from pathlib import Path

from benchmarks import html_pages, minhash, pii, signals, tokens
from benchmarks.compare import RAW, Row, show, size_of, texts_of
from llm.tokenize.load import Tokenizer
from llm.tokenize.train import train

STEPS = ("minhash", "signals", "pii", "tokens", "html")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, default=RAW, help="directory of raw sources")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--pages", type=Path, help="where archives of HTML pages are kept")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = measured(options, Path(name))
    show(rows)
    raise SystemExit(any(row.missed for row in rows))


def measured(options: argparse.Namespace, directory: Path) -> list[Row]:
    texts = texts_of(options.raw)
    amount = options.megabytes, options.rounds
    print(f"{date.today()}, {processor()}, {os.cpu_count()} cores, {os.getloadavg()[0]:.1f} processes running")
    print(f"{len(texts):,} documents, {size_of(texts) / 1e6:.1f} MB; MB per CPU second, {options.rounds} rounds")

    def tokenized() -> list[Row]:
        rows, model = [], directory / "tokenizer.model"
        for kind in ("bpe", "unigram"):
            some = texts.gather_every(4)  # training is not what is measured
            model.write_bytes(train(some, vocab_size=options.vocab_size, character_coverage=0.9995, model_type=kind))
            rows += tokens.measure(Tokenizer(model), texts, options.rounds)
        return rows

    work = {
        "minhash": lambda: minhash.measure(texts, *amount),
        "signals": lambda: signals.measure(texts, *amount),
        "pii": lambda: pii.measure(texts, *amount),
        "tokens": tokenized,
        "html": lambda: html_pages.measure(options.pages or directory, options.rounds),
    }
    return [row for step in options.steps for row in work[step]()]


def processor() -> str:
    """Its name, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown processor")


if __name__ == "__main__":
    main()
