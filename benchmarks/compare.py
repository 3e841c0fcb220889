"""How benchmarks measure: contenders take turns, CPU seconds count, medians are said. Measures nothing itself.

A work is a function without arguments that runs once and returns the CPU seconds of each contender that it is about:
`timed` makes one of a function of this process, peers.work one of a script that runs in the peers' environment.
"""

import gc
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

Work = Callable[[], dict[str, float]]
RAW = Path("results/raw")


@dataclass(frozen=True)
class Row:
    """A step and, where one is compared, a peer. Speeds in MB (10^6 bytes) per CPU second, one for each round."""

    step: str
    ours: Sequence[float]
    peer: str = ""
    theirs: Sequence[float] = ()
    at_least: float = 0  # MB per CPU second, to hold
    times: float = 0  # as fast as the peer, to hold
    note: str = ""
    right: bool = True  # what else must hold: same ids, a high F1

    @property
    def ratio(self) -> float:
        """The median over rounds of how many times as fast ours is."""
        return statistics.median(own / other for own, other in zip(self.ours, self.theirs, strict=True))

    @property
    def missed(self) -> bool:
        slow = statistics.median(self.ours) < self.at_least or bool(self.times and self.ratio < self.times)
        return slow or not self.right

    @property
    def cells(self) -> tuple[str, ...]:
        target = f"{self.times:g}x" if self.times else f"{self.at_least:,g} MB/s" if self.at_least else ""
        return (
            self.step,
            f"{statistics.median(self.ours):,.1f}",
            self.peer,
            f"{statistics.median(self.theirs):,.2f}" if self.theirs else "",
            f"{self.ratio:,.1f}x" if self.theirs else "",
            target,
            "missed" if self.missed else "holds" if target else "",
            self.note,
        )


HEAD = ("step", "ours", "peer", "peer's", "ratio", "at least", "", "")


def show(rows: Sequence[Row]) -> None:
    """Print the rows as a table that Markdown understands too."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * max(width, 1) for width in widths))
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |", flush=True)


def in_turns(contenders: Sequence[tuple[int, Work]], rounds: int) -> dict[str, list[float]]:
    """Each contender's MB per CPU second in each round, by name. contenders: (bytes that it works on, work)."""
    speeds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for size, work in contenders:
            for name, seconds in work().items():
                speeds.setdefault(name, []).append(size / 1e6 / seconds)
    return speeds


def timed(name: str, function: Callable[[], object]) -> Work:
    """A work of this process: its threads and the processes that it started and waited for count too."""

    def work() -> dict[str, float]:
        gc.collect()
        gc.freeze()  # else collections in the middle would walk all that the benchmark itself has imported and made
        begin = seconds()
        function()
        return {name: seconds() - begin}

    return work


def seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def size_of(texts: pl.Series) -> int:
    """Bytes of UTF-8."""
    return int(texts.str.len_bytes().sum())


def texts_of(raw: Path) -> pl.Series:
    """The documents of all raw shards below a directory, as they are."""
    files = sorted(raw.glob("*/part-*.parquet"))
    if not files:
        raise SystemExit(f"error: no shards below {raw}; run `snakemake raw` first, or name another directory")
    return pl.concat([pl.read_parquet(file, columns=["text"]) for file in files])["text"]


def repeated(texts: pl.Series, megabytes: int) -> pl.Series:
    """The same documents again and again, until there are so many bytes."""
    return pl.concat([texts] * max(1, -(-megabytes * 1_000_000 // size_of(texts))))
