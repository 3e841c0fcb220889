"""Deduplication end to end beside datatrove and rensa, on real documents with planted duplicates; exact alone too.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install "datatrove[processing]==0.10.1" rensa==0.5.0
    snakemake raw && python benchmarks/minhash.py --raw results/raw --peers /tmp/peers/bin/python

CPU seconds (user and system, children included) of processes that take turns; medians of three. Ours are the four jobs
from raw parquet to verdicts, started once before so that code is compiled. rensa signs and queries its LSH index, without
verification or clusters; datatrove runs its four stages over a sample (it is slow), its throughput is compared.
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

RENSA = """
import sys, polars as pl
from rensa import RMinHash, RMinHashLSH
index = RMinHashLSH(threshold=0.8, num_perm=112, num_bands=28)
for n, text in enumerate(pl.read_parquet(sys.argv[1], columns=["text"])["text"]):
    words = text.lower().split()
    one = RMinHash(num_perm=112, seed=1)
    one.update([" ".join(words[i : i + 5]) for i in range(max(len(words) - 4, 1))])
    index.query(one)
    index.insert(n, one)
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
import sys, tempfile
from pathlib import Path
from tests.llm.text.dedup_jobs import deduplicated
with tempfile.TemporaryDirectory() as directory:
    print(deduplicated(Path(directory), [Path(sys.argv[1])])[1], file=sys.stderr)
"""
EXACT = """
import sys, polars as pl
print(pl.read_parquet(sys.argv[1], columns=["sha256"])["sha256"].n_unique(), file=sys.stderr)
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


def cpu(command: list[str]) -> float:
    """CPU seconds of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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
    parser.add_argument("--megabytes", type=int, default=110)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    theory()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.environ.setdefault("NUMBA_CACHE_DIR", str(directory / "numba"))
        (directory / "raw").mkdir()
        frame = corpus(options.raw, options.megabytes)
        digest = [hashlib.sha256(text.encode()).hexdigest() for text in frame["text"]]
        frame.with_columns(sha256=pl.Series(digest)).write_parquet(directory / "raw/part-00000.parquet")
        frame[:: len(frame) // 600].write_parquet(directory / "sample.parquet")
        sizes = frame["text"].str.len_bytes()
        size, sample = sizes.sum() / 1e6, sizes.gather_every(len(frame) // 600).sum() / 1e6
        print(f"{len(frame):,} documents, {size:.0f} MB")
        part, peers = str(directory / "raw/part-00000.parquet"), options.peers
        work = {
            "ours": (size, [sys.executable, "-c", OURS, str(directory / "raw")]),
            "exact": (size, [sys.executable, "-c", EXACT, part]),
        }
        if Path(peers).exists():
            work["rensa"] = (size, [peers, "-c", RENSA, part])
            work["datatrove"] = (sample, [peers, "-c", DATATROVE, name, name])
        else:
            print(f"no {peers}: rensa and datatrove are left out (the docstring says how to get them)")
        cpu(work["ours"][1])
        seconds: dict[str, list[float]] = {who: [] for who in work}
        for _ in range(options.rounds):
            for who, (_, command) in work.items():
                seconds[who].append(cpu(command))
        speed = {who: work[who][0] / statistics.median(taken) for who, taken in seconds.items()}
        for who, value in speed.items():
            print(f"{who:10} {value:9.2f} MB per CPU second   ours is {speed['ours'] / value:7.1f} times as fast")


if __name__ == "__main__":
    main()
