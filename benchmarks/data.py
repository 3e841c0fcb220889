"""Text and tokens beside their peers, step by step, on one corpus in one run: what issue 4 asks for, holds or missed.

    make bench        (or: make peers && snakemake raw && python benchmarks/data.py [--raw results/raw])

Every step is a benchmark of its own that tells more: minhash.py, signals.py, pii.py, tokens.py, html_pages.py. CPU
seconds of contenders that take turns, without start-up and compilation; medians. The corpus is repeated until it has
--megabytes (for MinHash with words replaced, or else all would be duplicates). HTML pages are fetched from pinned
packages (kept in --pages, if given). Tokenizers are trained on a quarter of it. Exit status 1: something missed.
"""

import argparse
import os
import tempfile
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

from benchmarks import html_pages, minhash, pii, signals, tokens
from benchmarks.compare import RAW, Row, in_turns, show, size_of, texts_of, timed
from llm.tokenize.byte_level import to_model
from llm.tokenize.load import CONTROLS, Tokenizer
from llm.tokenize.train import train
from llm.tokenize.train_byte_level import train_bytes

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
        model, some = directory / "tokenizer.model", texts.gather_every(4)
        trainers = {kind: partial(trained, kind, some, options.vocab_size) for kind in ("byte_bpe", "bpe", "unigram")}
        of_two = [(size_of(some), timed(kind, trainers[kind])) for kind in ("byte_bpe", "bpe")]
        speeds = in_turns(of_two, options.rounds)
        rows = [Row("train, byte_bpe", speeds["byte_bpe"], "sentencepiece, bpe", speeds["bpe"], times=1 / 1.2)]
        for trainer in trainers.values():
            model.write_bytes(trainer())
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


def trained(kind: str, texts: pl.Series, vocab_size: int) -> bytes:
    """tokenizer.model of a kind."""
    if kind == "byte_bpe":
        return to_model(train_bytes(texts, vocab_size=vocab_size, first_id=len(CONTROLS)), len(CONTROLS))
    return train(texts, vocab_size=vocab_size, character_coverage=0.9995, model_type=kind)


def processor() -> str:
    """Its name, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown processor")


if __name__ == "__main__":
    main()
