"""Speed-up and efficiency of annotate, deduplicate and tokenize from 1 to N jobs at once, by the real Snakemake.

python -m benchmarks.scaling [--mb 64] [--parts 8] [--jobs 1 2] [--stages STAGE ...] [--slurm [STAGE ...]]

A generated corpus (benchmarks/memory.py) is one source in so many parts. Each stage starts from the same results, after
one run that does not count and compiles what is to be compiled, and runs with `--cores N`, every job on one thread; the
stages of --slurm also through profiles/slurm with `--jobs N`, polled as often as it can be. What is compared is the
wall time of the whole command, so reading the workflow, scheduling, starting processes and the queue are in it. Beside
it stands what the jobs alone allow, from the CPU seconds in their records: steps of a stage one after the other, the
jobs of a step spread over N workers, the longest first. That says what N cores would give which this machine does not
have; measured figures mean nothing beyond its cores.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.memory import source, write_corpus
from llm.collect.config import in_parts
from stemma.base.settings import ROOT, Settings
from stemma.provenance.catalogue import current
from stemma.provenance.trust import Records

SOURCE = "synthetic"
STAGES = {  # the steps that follow each other, and what is built before: the inputs of the first
    "annotate": ("annotate",),
    "deduplicate": ("minhash", "candidates", "edges", "deduplicate"),
    "tokenize": ("encode", "token_shards"),
}
PREDICTED = (2, 4, 8)


@dataclass(frozen=True)
class Run:
    """One stage by one executor with `n` jobs at once: wall seconds of the command, CPU seconds of it with all that it
    waited for (None: they ran elsewhere), and of each step the CPU seconds of its jobs, by their records."""

    stage: str
    executor: str
    n: int
    wall: float
    cpu: float | None
    steps: list[list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=64)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--slurm", nargs="*", choices=STAGES, default=[], metavar="STAGE")
    parser.add_argument("--directory", type=Path, help="where to build, and keep the corpus; else a temporary one")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        place = options.directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runs = measured(place.resolve(), options)
    print(f"{options.mb} MB in {options.parts} parts, {os.cpu_count()} cores, {os.getloadavg()[0]:.1f} running now\n")
    table(runs)


def measured(place: Path, options: argparse.Namespace) -> list[Run]:
    """Every stage in turn; its results are what the next starts from."""
    write_corpus(place / "corpus", options.mb * 10**6)
    overlay = place / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(config(place / "corpus", options.parts)))
    before, runs = place / "before", []
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir()
    for stage in options.stages:
        build(before, overlay, needs(stage, options.parts), "default", os.cpu_count())
        run(before, overlay, stage, "local", os.cpu_count(), options.parts)
        for executor, wanted in (("local", options.stages), ("slurm", options.slurm)):
            for n in options.jobs if stage in wanted else []:
                runs.append(run(before, overlay, stage, executor, n, options.parts))
                print(f"{stage}, {executor}, {n} at once: {runs[-1].wall:.1f} s", file=sys.stderr)
    return runs


def config(corpus: Path, parts: int) -> dict:
    """One source in parts; pairs of duplicates are found and compared by as many jobs."""
    decided = {"decontaminate": {"evaluations": []}, "reference": {"curated": [], "toxicity": None}}
    large = source(corpus) | {"parts": parts}
    return {"corpus": [SOURCE], "sources": {SOURCE: large}, "process": decided | {"duplicates": {"ranges": parts}}}


def names(parts: int) -> list[str]:
    return in_parts([SOURCE], {SOURCE: {"parts": parts}})


def targets(stage: str, parts: int) -> list[str]:
    match stage:
        case "annotate":
            return [f"results/annotated/{name}/manifest.json" for name in names(parts)]
        case "deduplicate":
            return [f"results/duplicates/{name}.parquet" for name in names(parts)]
    return ["results/tokens/manifest.json"]


def needs(stage: str, parts: int) -> list[str]:
    """What stands before a stage begins."""
    match stage:
        case "annotate":
            return [f"results/raw/{name}/manifest.json" for name in names(parts)]
        case "deduplicate":
            return [f"results/scores/{name}/manifest.json" for name in names(parts)]
    return ["results/clean/manifest.json", "results/tokenizer/tokenizer.model"]


def run(before: Path, overlay: Path, stage: str, executor: str, n: int, parts: int) -> Run:
    """One stage in a copy of what stands before it."""
    with tempfile.TemporaryDirectory(dir=before.parent) as name:
        directory = Path(name, "run")
        shutil.copytree(before, directory, symlinks=True, copy_function=os.link)
        wall, cpu = build(directory, overlay, targets(stage, parts), "default" if executor == "local" else "slurm", n)
        with contextlib.chdir(directory):
            made = {item.pointer.action: item for item in current(Records.of(Settings.here()))}.values()
    steps = [[item.usage["cpu_seconds"] for item in made if item.rule == rule] for rule in STAGES[stage]]
    return Run(stage, executor, n, wall, cpu if executor == "local" else None, steps)


def build(directory: Path, overlay: Path, wanted: list[str], profile: str, n: int) -> tuple[float, float]:
    """Wall and CPU seconds of one snakemake with `n` jobs at once, one thread each."""
    often = ["--slurm-init-seconds-before-status-checks", 1]
    at_once = ["--cores", n] if profile == "default" else ["--jobs", n, *often]
    command = [
        sys.executable, "-m", "snakemake", *wanted, "--snakefile", ROOT / "Snakefile", "--profile",
        ROOT / "profiles" / profile, "--directory", directory, *at_once, "--set-threads", "deduplicate=1", "encode=1",
        "--configfile", overlay,
    ]  # fmt: skip
    began, cpu = time.perf_counter(), cpu_of_children()
    done = subprocess.run([*map(str, command)], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, cpu_of_children() - cpu


def cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def spread(steps: list[list[float]], n: int) -> float:
    """Seconds until all jobs have run on n workers: step by step, the longest first to whoever is free."""
    total = 0.0
    for jobs in steps:
        busy = [0.0] * n
        for seconds in sorted(jobs, reverse=True):
            busy[busy.index(min(busy))] += seconds
        total += max(busy)
    return total


def serial_share(speed_up: float, n: int) -> float:
    """The share of the work that N jobs do not divide, by what they gave (Karp and Flatt, 1990)."""
    return (1 / speed_up - 1 / n) / (1 - 1 / n)


def table(runs: list[Run]) -> None:
    """What was measured, and what the jobs' own CPU seconds allow."""
    print("| stage | executor | at once | wall s | speed-up | efficiency | serial share | CPU s of jobs | in all |")
    print("|---" * 9 + "|")
    for one in runs:
        first = next(other for other in runs if (other.stage, other.executor) == (one.stage, one.executor))
        gain, own = first.wall / one.wall * first.n, sum(map(sum, one.steps))
        share = f"{serial_share(gain, one.n):.1%}" if one.n > 1 else ""
        cells = [one.stage, one.executor, one.n, f"{one.wall:.1f}", f"{gain:.2f}", f"{gain / one.n:.0%}", share]
        print("|", " | ".join(map(str, [*cells, f"{own:.1f}", f"{one.cpu:.1f}" if one.cpu else "elsewhere"])), "|")
    print("\n| stage | jobs | CPU s | longest chain s | " + " | ".join(f"at {n}" for n in PREDICTED) + " |")
    print("|---" * (4 + len(PREDICTED)) + "|")
    for one in (run for run in runs if (run.executor, run.n) == ("local", min(run.n for run in runs))):
        total, chain = spread(one.steps, 1), sum(map(max, one.steps))
        allowed = (total / spread(one.steps, n) for n in PREDICTED)
        cells = [one.stage, sum(map(len, one.steps)), f"{total:.1f}", f"{chain:.1f}"]
        cells += [f"{gain:.2f} ({gain / n:.0%})" for gain, n in zip(allowed, PREDICTED, strict=True)]
        print("|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    main()
