"""Computes heuristic signals of documents, one number each, as the Gopher, C4 and FineWeb papers define them.

Words are what `str.split()` gives, lines are split at "\\n" and stripped, lines without words do not count, a paragraph
is a run of lines without such a line between them. Lengths are in characters. A ratio of nothing is 0. Words, lines,
sentences and repetitions are defined exactly in kernels/: segments.py, repeats.py, phrases.py; docs/process.md says
where the papers leave them open and what others do.
Gopher: Rae et al. 2021, A.1.1 and table A1; C4: Raffel et al. 2020, 2.2; FineWeb: Penedo et al. 2024, 3.6.
All results are quotients of integers, so they have the same bits everywhere.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from kernels.signals import signal_counts
from llm.io.utf8 import utf8
from llm.process.quality.signal_names import COUNTS, RATIOS


def signals(texts: pl.Series) -> dict[str, np.ndarray]:
    """Return every signal of SIGNALS by name: i64 or f64 [n_documents]. texts: polars String, no null."""
    counts = signal_counts(*utf8(texts))
    # Gopher: "either the hash symbol or the ellipsis"; here it is the more frequent of the two.
    counts["symbols"] = np.maximum(counts["hashes"], counts["ellipses"])
    return {name: counts[count] for name, count in COUNTS.items()} | {
        name: ratio(counts[part], counts[whole]) for name, (part, whole) in RATIOS.items()
    }


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def chunks(lengths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Return consecutive ranges of items whose lengths sum to at most `limit`, or of one longer item; at least one."""
    ranges = []
    begin = size = 0
    for i, length in enumerate(lengths):
        if i > begin and size + length > limit:
            ranges.append((begin, i))
            begin, size = i, 0
        size += length
    return [*ranges, (begin, len(lengths))]
