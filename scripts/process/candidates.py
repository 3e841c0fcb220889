"""Find the candidate pairs, documents that share a band of their signatures, in one range of keys."""

from pathlib import Path

from llm.command import command
from llm.io.range_shuffle import slices, write_ranges
from llm.process.dedup import lsh
from llm.process.settings.candidates import CandidatesSettings

ENTRIES = 1 << 23  # keys in memory at once


def main(entries: list[Path], pairs: list[Path], *, settings: CandidatesSettings) -> dict:
    """entries: each source's directory for this range. pairs: an empty directory for each range of pairs."""
    n = n_pairs = oversized = tables = 0
    for table in slices(entries, ["key", "name"], ENTRIES):
        n += len(table)
        for found, larger in lsh.pairs(table, max_bucket=settings.max_bucket):
            write_ranges(found, "a", pairs, f"part-{tables:05d}.parquet")
            tables += 1
            n_pairs += len(found)
            oversized += larger
    return {"keys": n, "pairs": n_pairs, "oversized_buckets": oversized}


if __name__ == "__main__":
    command(main)
