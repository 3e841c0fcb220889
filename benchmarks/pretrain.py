"""Training speed beside peers, same model and batch, contenders in turns, each in a process of its own.

    python benchmarks/pretrain.py [--sizes d128 d256] [--threads 1 2] [--compile] [--litgpt PYTHON]
    python benchmarks/pretrain.py --quality DIR --overhead DIR    (DIR: where the rules have built tokens, or will)

Peers: transformers' Trainer on LlamaForCausalLM, a nanoGPT-style loop (benchmarks/nanogpt.py), litgpt if a Python that
has it is named. Medians over rounds; a ratio is the median of the rounds' ratios. On one thread CPU seconds count, on
more wall seconds do. The first turn of each is not counted. Exit status 1: something missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.data import processor
from benchmarks.pretrain_quality import overhead, quality
from benchmarks.pretrain_work import SIZES
from llm.training.mfu import flops_per_token
from stemma.base.settings import ROOT
from tests.llm.tokenize.write_ids import write_indexed

TIMES_TRAINER, MFU, LOADER = 1.25, 0.55, 0.01  # what must hold
PRODUCTS = 20  # of the peak's turn


@dataclass
class Contender:
    name: str
    process: subprocess.Popen
    steps: int  # of a turn
    turns: list[dict] = field(default_factory=list)

    def turn(self) -> dict:
        try:
            self.process.stdin.write(f"{self.steps}\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            status = self.process.wait()
            raise SystemExit(f"error: {self.name} ended with status {status}; VERBOSE=1 shows what it said") from error

    def seconds(self, clock: str) -> list[float]:
        return [turn[clock] for turn in self.turns]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="about so long is a turn")
    parser.add_argument("--compile", action="store_true", help="torch.compile for all; minutes more")
    parser.add_argument("--litgpt", type=Path, help="a Python that has litgpt and what this project needs")
    parser.add_argument(
        "--quality", type=Path, help="directory with the default corpus' tokens, built there if missing"
    )
    parser.add_argument("--overhead", type=Path, help="the same: a step under Snakemake and in a bare loop")
    options = parser.parse_args()
    print(f"{date.today()}, {processor()}, {os.cpu_count()} cores, {os.getloadavg()[0]:.1f} processes running")
    missed = False
    with tempfile.TemporaryDirectory() as name:
        for size in options.sizes:
            config = SIZES[size][0]
            write_tokens(Path(name) / size, config.vocab_size)
            for threads in options.threads:
                missed |= compare(options, size, threads, Path(name) / size)
    if options.overhead:
        missed |= overhead(options.overhead)
    if options.quality:
        missed |= quality(options.quality)
    raise SystemExit(missed)


def write_tokens(directory: Path, vocab_size: int) -> None:
    """Two million tokens whose frequencies follow Zipf's law, as one source and its plan."""
    generator = np.random.Generator(np.random.PCG64(0))
    ranks = np.arange(1, vocab_size - 3)
    share = (1 / ranks) / (1 / ranks).sum()
    tokens = generator.choice(ranks + 3, 2_000_000, p=share)
    (directory / "tokens/zipf").mkdir(parents=True)
    documents = np.split(tokens, 2000)
    write_indexed(directory / "tokens/zipf/train", documents, np.uint16)
    plan = pl.DataFrame({"source": ["zipf"] * len(documents), "document": range(len(documents))})
    plan.write_parquet(directory / "plan.parquet")


def compare(options: argparse.Namespace, size: str, threads: int, tokens: Path) -> bool:
    """Prints a table of one size and number of threads; True if something was missed."""
    config, batch = SIZES[size]
    names = ["peak", "ours", "ours, Muon", "Trainer", "nanoGPT-style", *(["litgpt"] if options.litgpt else [])]
    contenders = {name: Contender(name, started(name, options, size, threads, tokens), 2) for name in names}
    clock = "cpu" if threads == 1 else "wall"
    try:
        for contender in contenders.values():  # the first turn compiles and allocates, the second tells how long one is
            contender.turn()
            contender.steps = max(2, round(options.seconds / contender.turn()["wall"]))
        contenders["peak"].steps = PRODUCTS
        for _ in range(options.rounds):
            for contender in contenders.values():
                contender.turns.append(contender.turn())
    finally:
        for contender in contenders.values():
            contender.process.kill()
            contender.process.wait()
    peak = contenders.pop("peak")
    ours = contenders["ours"]
    n_tokens = batch * config.context_length
    flops = n_tokens * flops_per_token(config)
    peaks = [2 * 1024**3 / seconds for seconds in peak.seconds(clock)]
    print(f"\n{size}, {threads} thread(s){', compiled' if options.compile else ''}, {clock} seconds; ", end="")
    print(f"matmul peak {statistics.median(peaks) / 1e9:,.0f} GFLOP/s in bf16, {flops / 1e9:.1f} GFLOP a step\n")
    print("| contender | ms a step | tokens/s | MFU | ours is faster by |\n|---|---|---|---|---|")
    ratios, mfu = {}, {}
    for name, one in contenders.items():
        seconds = one.seconds(clock)
        ratios[name] = ratio(seconds, ours.seconds(clock))
        mfu[name] = statistics.median(flops / own / p for own, p in zip(seconds, peaks, strict=True))
        middle = statistics.median(seconds)
        print(f"| {name} | {middle * 1e3:.1f} | {n_tokens / middle:,.0f} | {mfu[name]:.0%} | {ratios[name]:.2f}x |")
    loading = ratio(ours.seconds("loading"), ours.seconds("wall"))
    best = min(value for name, value in ratios.items() if not name.startswith("ours"))
    held = [
        (f"{TIMES_TRAINER}x Trainer", ratios["Trainer"] >= TIMES_TRAINER),
        ("level with the best peer", best >= 0.98),
        (f"MFU of {MFU:.0%}", mfu["ours"] >= MFU),
        (f"batches take {loading:.2%} of the step, under {LOADER:.0%}", loading < LOADER),
    ]
    print("\n" + "; ".join(f"{what}: {'holds' if holds else 'missed'}" for what, holds in held), flush=True)
    return not all(holds for _, holds in held)


def ratio(some: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(some, others, strict=True))


def started(name: str, options: argparse.Namespace, size: str, threads: int, tokens: Path) -> subprocess.Popen:
    python = options.litgpt if name == "litgpt" else sys.executable
    arguments = [str(python), str(Path(__file__).with_name("pretrain_work.py")), name, size, str(tokens / "tokens")]
    arguments.append(str(tokens / "plan.parquet"))
    return subprocess.Popen(
        arguments + ["--compile"] * (options.compile and name != "peak"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("VERBOSE") else subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)},
    )


if __name__ == "__main__":
    main()
