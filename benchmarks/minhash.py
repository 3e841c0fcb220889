"""Deduplication end to end beside datatrove and rensa, on real documents with planted duplicates; exact alone too.

    make peers && snakemake raw && python benchmarks/minhash.py [--raw results/raw]

Ours are the four jobs from raw parquet to verdicts. rensa signs and queries its LSH index, without clusters; datatrove
runs its four stages over a sample (it is slow). Neither compares texts, so our jobs with `verify: false` are like with
like; "verified" is what the default config does. Start-up and compilation count for nobody.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import peers
from benchmarks.compare import RAW, Row, in_turns, show, size_of, texts_of, timed
from kernels.minhash import coefficients
from scripts.process import deduplicate
from tests.kernels.minhash_parts import minima
from tests.llm.process.dedup.dedup_jobs import deduplicated

SAMPLE = 600  # documents for datatrove


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--raw", type=Path, default=RAW)
    parser.add_argument("--megabytes", type=int, default=110)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    theory()
    show(measure(texts_of(options.raw), options.megabytes, options.rounds))


def measure(texts: pl.Series, megabytes: int, rounds: int) -> list[Row]:
    """All deduplication, and exact alone: the rule `deduplicate` without edges, on tables that hold digests."""
    planted_texts = planted(texts, megabytes)
    size = size_of(planted_texts)
    with written(planted_texts) as directory:
        raw, part, sample = directory / "raw", directory / "raw/part-00000.parquet", directory / "sample.parquet"
        facts, no_edges = directory / "jobs/facts/0", directory / "edges.parquet"
        deduplicated(directory / "jobs", [raw])  # compiles
        pl.read_parquet(directory / "jobs/edges-0.parquet").clear().write_parquet(no_edges)
        contenders = [
            (size, timed("ours", lambda: ours(raw))),
            (size, timed("unverified", lambda: ours(raw, verify=False))),
            (size, timed("exact", lambda: deduplicate.main([facts], [no_edges], [directory / "duplicates.parquet"]))),
            (size, timed("digests", lambda: digests(texts_in(part)))),
        ]
        if not peers.missing():
            few = size_of(texts_in(sample))
            contenders += [(size, peers.work("rensa", part)), (few, peers.work("minhash", sample))]
        speeds = in_turns(contenders, rounds)
    name, found = "MinHash, LSH, clusters", speeds["ours"]
    compared = [(peer, times) for peer, times in (("datatrove", 100), ("rensa", 5)) if peer in speeds]
    return [
        Row(name, speeds["unverified"], at_least=100),
        *(Row(name, speeds["unverified"], peer, speeds[peer], times=times) for peer, times in compared),
        Row(f"{name}, verified", found, at_least=100),
        *(Row(f"{name}, verified", found, peer, speeds[peer]) for peer, _ in compared),
        Row("exact duplicates", speeds["exact"], at_least=1000, note="from the digests that collect wrote"),
        Row("sha256 of the texts", speeds["digests"], note="what collect does for it"),
    ]


def ours(raw: Path, verify: bool = True) -> None:
    with tempfile.TemporaryDirectory() as directory:
        deduplicated(Path(directory), [raw], verify=verify)


def digests(texts: pl.Series) -> pl.Series:
    return pl.Series([hashlib.sha256(text.encode()).hexdigest() for text in texts])


def texts_in(file: Path) -> pl.Series:
    return pl.read_parquet(file, columns=["text"])["text"]


@contextmanager
def written(texts: pl.Series) -> Iterator[Path]:
    """A directory with a raw shard of them, raw/part-00000.parquet, and a part of it, sample.parquet."""
    frame = pl.DataFrame({"id": [f"s/{i:08d}" for i in range(len(texts))], "text": texts, "sha256": digests(texts)})
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "raw").mkdir()
        frame.write_parquet(Path(name) / "raw/part-00000.parquet")
        frame.gather_every(-(-len(frame) // SAMPLE)).write_parquet(Path(name) / "sample.parquet")
        yield Path(name)


def planted(texts: pl.Series, megabytes: int) -> pl.Series:
    """All documents again and again, each time with another word in every 6 replaced, which leaves no near duplicates,
    and every tenth document of a round once more with one word appended."""
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
    return pl.Series("text", found)


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


if __name__ == "__main__":
    main()
