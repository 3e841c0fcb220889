"""Finds spans of personal data in text; what happens to them is decided by `clean`.

Kinds by pattern are email, ipv6, ipv4, iban, credit_card, ssn, phone (llm/process/pii/patterns.py); `name` is found by
llm/process/pii/person_names.py. The result is that of running every pattern over the whole text: where two
spans overlap, the kind that comes first in KINDS wins. Patterns are tried only where one pass over the bytes finds that
they may match.
"""

from bisect import bisect_left, bisect_right

import numpy as np
import polars as pl

from kernels.pii import candidates, characters
from llm.io.utf8 import utf8
from llm.process.pii.patterns import CONTEXT, KINDS, Kind
from llm.process.pii.spans import Span

BYTES = 4  # of one character, at most


def without_overlap(groups: list[list[Span]]) -> list[Span]:
    """Return the spans of all groups in text order, without those that overlap a span of an earlier group."""
    found: list[Span] = []
    for group in groups:
        starts, ends = [span.start for span in found], [span.end for span in found]
        # As `found` is sorted without overlaps, spans that end after `new` starts come from one index on, bisect's.
        free = [new for new in group if bisect_right(ends, new.start) == bisect_left(starts, new.end)]
        if free:
            found = sorted([*found, *free], key=lambda span: span.start)
    return found


def spans_of(texts: pl.Series) -> list[list[Span]]:
    """Return the spans of each text, in text order without overlaps, in one pass over the bytes. texts: polars String,
    as for llm.io.utf8."""
    buffer, offsets = utf8(texts)
    data = buffer.data
    begins = offsets.tolist()
    rows, positions, lengths, kinds = [], [], [], []
    free = [(-1, 0)] * len(KINDS)  # for each kind, the document and the byte where its last match ends
    for row, position, number in candidates(buffer, offsets).tolist():
        if free[number][0] == row and position < free[number][1]:
            continue
        match = match_at(data, begins[row], position, begins[row + 1], KINDS[number])
        if match is not None:
            rows.append(row)
            positions.append(position)
            lengths.append(match.end() - match.start())
            kinds.append(number)
            free[number] = (row, position + len(match[0].encode()))
    starts = characters(buffer, offsets[rows], np.array(positions, dtype=np.int64)).tolist()
    return collected(len(texts), rows, starts, lengths, kinds)


def match_at(data: memoryview, begin: int, position: int, end: int, kind: Kind):
    """Return the valid match of this kind at a byte of the document data[begin:end]; only a window around it is
    decoded.

    A window's edge may split a character, which is left out: no pattern looks that far."""
    before = str(data[max(begin, position - (CONTEXT + 1) * BYTES) : position], "utf-8", "ignore")
    after = str(data[position : min(end, position + kind.reach)], "utf-8", "ignore")
    match = kind.pattern.match(before + after, len(before))
    return match if match is not None and kind.valid(match) else None


def collected(
    n_texts: int, rows: list[int], starts: list[int], lengths: list[int], kinds: list[int]
) -> list[list[Span]]:
    """Return the spans of each text, without overlaps."""
    groups: dict[int, list[list[Span]]] = {}
    for row, start, length, number in zip(rows, starts, lengths, kinds, strict=True):
        groups.setdefault(row, [[] for _ in KINDS])[number].append(Span(KINDS[number].name, start, start + length))
    return [without_overlap(groups[row]) if row in groups else [] for row in range(n_texts)]
