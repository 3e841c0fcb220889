"""Deduplication end to end beside datatrove and rensa, on real documents with planted duplicates; exact alone too.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install "datatrove[processing]==0.10.1" rensa==0.5.0
    snakemake raw && python benchmarks/minhash.py --raw results/raw --peers /tmp/peers/bin/python

CPU seconds (user and system, children included) of processes that take turns; medians, with start-up ("whole") and
without ("started": what a process says of its work after imports, compiled code loaded; datatrove is always whole).
Ours are the four jobs from raw parquet to verdicts, verified by true Jaccard similarity or not ("unverified"). rensa
signs the same shards with as many permutations and bands, queries its LSH index and joins clusters, without
verification; datatrove runs its four stages over a sample (it is slow), its throughput is compared. "exact" counts the
digests that `collect` made, "sha256 too" makes them: both are per MB of text.
"""

import argparse
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from kernels.minhash import coefficients, minima
from llm.text import shards

RENSA = """
import sys, glob, time, polars as pl
from rensa import RMinHash, RMinHashLSH
begin = time.process_time()
index = RMinHashLSH(threshold=0.8, num_perm=112, num_bands=28)
parent = []
def find(node):
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node
for part in sorted(glob.glob(sys.argv[1] + "/part-*.parquet")):
    texts = pl.read_parquet(part, columns=["text"])["text"]
    for first in range(0, len(texts), 500):
        sets = []
        for text in texts[first : first + 500]:
            words = text.lower().split()
            sets.append([" ".join(words[i : i + 5]) for i in range(max(len(words) - 4, 1))])
        for one in RMinHash.from_token_sets(sets, 112, 1):
            new = len(parent)
            parent.append(new)
            for other in index.query(one):
                a, b = find(new), find(other)
                parent[max(a, b)] = min(a, b)
            index.insert(new, one)
print(len({find(node) for node in range(len(parent))}), "clusters", file=sys.stderr)
print(time.process_time() - begin)
"""
DATATROVE = """
import sys, os, tempfile
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import JsonlWriter
base = tempfile.mkdtemp(dir=sys.argv[2])
config = MinhashConfig(num_buckets=14, hashes_per_bucket=8, n_grams=5)
reader = lambda: ParquetReader(sys.argv[1], glob_pattern="sample.parquet")
at = lambda name: os.path.join(base, name)
def run(name, *steps, tasks=1):
    LocalPipelineExecutor(list(steps), tasks=tasks, workers=1, logging_dir=at("logs-" + name)).run()
run("1", reader(), MinhashDedupSignature(at("signatures"), config))
run("2", MinhashDedupBuckets(at("signatures"), at("buckets"), config=config), tasks=14)
run("3", MinhashDedupCluster(at("buckets"), at("remove"), config=config))
run("4", reader(), MinhashDedupFilter(at("remove")), JsonlWriter(at("out")))
"""
OURS = """
import sys, tempfile, time
from pathlib import Path
from tests.llm.text.dedup_jobs import deduplicated, write_raw
with tempfile.TemporaryDirectory() as directory:
    at, verify = Path(directory), sys.argv[2] == "verify"
    words = "the same words in both and so on and on again ".split() * 9
    small = write_raw(at / "small", ["a", "b"], [" ".join(words), " ".join(words[:-1])])
    deduplicated(at / "0", [small], verify=verify)
    begin = time.process_time()
    print(deduplicated(at / "1", [Path(sys.argv[1])], verify=verify)[1], file=sys.stderr)
    print(time.process_time() - begin)
"""
EXACT = """
import sys, glob, time, polars as pl
begin = time.process_time()
print(pl.read_parquet(sys.argv[1] + "/part-*.parquet", columns=["sha256"])["sha256"].n_unique(), file=sys.stderr)
print(time.process_time() - begin)
"""
HASHED = """
import sys, glob, hashlib, time, polars as pl
begin = time.process_time()
seen = set()
for part in sorted(glob.glob(sys.argv[1] + "/part-*.parquet")):
    seen.update(hashlib.sha256(text.encode()).digest() for text in pl.read_parquet(part, columns=["text"])["text"])
print(len(seen), file=sys.stderr)
print(time.process_time() - begin)
"""


def corpus(raw: Path, megabytes: int) -> pl.DataFrame:
    """id, text, sha256: all documents again and again, each time with another word in every 40 replaced, which leaves
    no near duplicates, and every tenth document of a round once more with one word appended."""
    texts = pl.concat([pl.read_parquet(path, columns=["text"]) for path in sorted(raw.glob("*/part-*.parquet"))])[
        "text"
    ]
    found: list[str] = []
    size = number = 0
    while size < megabytes * 1e6:
        for i, text in enumerate(texts):
            words = text.split(" ")
            if number:
                words[number % 6 :: 6] = [f"{word}{number}" for word in words[number % 6 :: 6]]
            found.append(" ".join(words))
            size += len(found[-1])
            if i % 10 == 0:
                found.append(found[-1] + " again")
                size += len(found[-1])
        number += 1
    return pl.DataFrame({"id": [f"s/{i:08d}" for i in range(len(found))], "text": found})


def cpu(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a process and its children, and those of its work alone, without start-up, if it says them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    last = (done.stdout.splitlines() or [""])[-1]
    return whole, float(last) if last.replace(".", "", 1).isdigit() else whole


def theory() -> None:
    """RMSE of the Jaccard estimate over 2,000 pairs of sets of known similarity."""
    permutations, n_pairs, n = 112, 2000, 300
    generator = np.random.Generator(np.random.PCG64(5))
    values = generator.integers(0, 1 << 32, size=(n_pairs, 2 * n), dtype=np.uint32)
    shared = generator.integers(0, n, size=n_pairs)
    sets = [np.concatenate([v[:n], v[:k], v[n : 2 * n - k]]) for v, k in zip(values, shared, strict=True)]
    factors = coefficients(permutations, seed=1)
    found = minima(np.concatenate(sets), np.arange(2 * n_pairs + 1, dtype=np.int64) * n, *factors)
    truth = shared / (2 * n - shared)
    error = np.sqrt(np.mean(((found[0::2] == found[1::2]).mean(axis=1) - truth) ** 2))
    print(f"RMSE of the estimate {error:.4f}, theory {np.sqrt(np.mean(truth * (1 - truth)) / permutations):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--raw", type=Path, default=Path("results/raw"))
    parser.add_argument("--peers", default="/tmp/peers/bin/python")
    parser.add_argument("--megabytes", type=int, default=300, help="0: the raw shards as they are")
    parser.add_argument("--sample", type=int, default=3000, help="documents that datatrove gets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", nargs="*", default=[], help="who does not take part, e.g. datatrove")
    options = parser.parse_args()
    theory()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.environ.setdefault("NUMBA_CACHE_DIR", str(directory / "numba"))
        raw = directory / "raw"
        raw.mkdir()
        if options.megabytes:
            frame = corpus(options.raw, options.megabytes)
            digest = [hashlib.sha256(text.encode()).hexdigest() for text in frame["text"]]
            frame = frame.with_columns(sha256=pl.Series(digest))
            for i in range(0, len(frame), 10_000):
                shards.write(frame[i : i + 10_000], raw / f"part-{i // 10_000:05d}.parquet")
        else:
            for i, path in enumerate(sorted(options.raw.glob("*/part-*.parquet"))):
                (raw / f"part-{i:05d}.parquet").symlink_to(path.resolve())
        frame = shards.read_all(raw, ["id", "text"])
        chosen = frame.gather_every(max(len(frame) // options.sample, 1))
        chosen.write_parquet(directory / "sample.parquet")
        size, sample = (table["text"].str.len_bytes().sum() / 1e6 for table in (frame, chosen))
        print(f"{len(frame):,} documents, {size:.0f} MB; for datatrove {len(chosen):,}, {sample:.1f} MB")
        del frame, chosen
        here, peers = str(raw), options.peers
        work = {
            "ours": (size, [sys.executable, "-c", OURS, here, "verify"]),
            "unverified": (size, [sys.executable, "-c", OURS, here, "no"]),
            "exact": (size, [sys.executable, "-c", EXACT, here]),
            "sha256 too": (size, [sys.executable, "-c", HASHED, here]),
        }
        if Path(peers).exists():
            work["rensa"] = (size, [peers, "-c", RENSA, here])
            work["datatrove"] = (sample, [peers, "-c", DATATROVE, name, name])
        else:
            print(f"no {peers}: rensa and datatrove are left out (the docstring says how to get them)")
        work = {who: task for who, task in work.items() if who not in options.skip}
        cpu(work["ours"][1])
        seconds: dict[str, list[tuple[float, float]]] = {who: [] for who in work}
        for _ in range(options.rounds):
            for who, (_, command) in work.items():
                seconds[who].append(cpu(command))
        print(f"{'MB per CPU second':20} {'whole':>9} {'ratio':>7} {'started':>9} {'ratio':>7}")
        speed = {
            who: [work[who][0] / statistics.median(column) for column in zip(*taken, strict=True)]
            for who, taken in seconds.items()
        }
        for who, (whole, started) in speed.items():
            ratios = (speed["ours"][0] / whole, speed["ours"][1] / started)
            print(f"{who:20} {whole:9.2f} {ratios[0]:7.1f} {started:9.2f} {ratios[1]:7.1f}", flush=True)


if __name__ == "__main__":
    main()
