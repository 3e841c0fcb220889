"""Spans of personal data in text. Says where they are; what happens to them is `clean`'s.

Kinds by pattern: email, ipv6, ipv4, iban, credit_card, ssn, phone (llm/process/pii/patterns.py); `name` is found by
llm/process/pii/person_names.py. `spans` runs the patterns over a whole text and defines the result; `spans_of` gives
the same for many texts by trying them only where one pass over the bytes finds that they may match.
"""

from bisect import bisect_left, bisect_right

import numpy as np
import polars as pl

from kernels.pii import candidates, characters
from llm.io.utf8 import utf8
from llm.process.pii.patterns import CONTEXT, KINDS, Kind
from llm.process.pii.spans import Span

BYTES = 4  # of one character, at most


def spans(text: str) -> list[Span]:
    """All spans in text order, none overlapping: where two would, the kind that stands first in KINDS wins."""
    return without_overlap([matches(kind, text) for kind in KINDS])


def matches(kind: Kind, text: str) -> list[Span]:
    """Of one kind, from left to right; a match that is not valid hides none that begins after it."""
    found = []
    position = 0
    while match := kind.pattern.search(text, position):
        position = match.start() + 1
        if kind.valid(match):
            found.append(Span(kind.name, match.start(), match.end()))
            position = match.end()
    return found


def without_overlap(groups: list[list[Span]]) -> list[Span]:
    """The spans of all groups in text order, without those that overlap a span of an earlier group."""
    found: list[Span] = []
    for group in groups:
        starts, ends = [span.start for span in found], [span.end for span in found]
        # found is sorted and without overlap: the spans that end after `new` starts begin where ends says
        free = [new for new in group if bisect_right(ends, new.start) == bisect_left(starts, new.end)]
        if free:
            found = sorted([*found, *free], key=lambda span: span.start)
    return found


def spans_of(texts: pl.Series) -> list[list[Span]]:
    """`spans` of each text, at the cost of one look at each byte. texts: polars String, as llm.io.utf8 has it."""
    buffer, offsets = utf8(texts)
    data = buffer.data
    begins = offsets.tolist()
    rows, positions, lengths, kinds = [], [], [], []
    free = [(-1, 0)] * len(KINDS)  # of each kind, the document and the byte where its last match ends
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
    """The valid match of this kind at a byte of the document data[begin:end], from a window that holds all it sees.

    A window's edge may cut a character, which is left out: the pattern sees none of these."""
    before = str(data[max(begin, position - (CONTEXT + 1) * BYTES) : position], "utf-8", "ignore")
    after = str(data[position : min(end, position + kind.reach)], "utf-8", "ignore")
    match = kind.pattern.match(before + after, len(before))
    return match if match is not None and kind.valid(match) else None


def collected(
    n_texts: int, rows: list[int], starts: list[int], lengths: list[int], kinds: list[int]
) -> list[list[Span]]:
    """The spans of each text, without overlap."""
    groups: dict[int, list[list[Span]]] = {}
    for row, start, length, number in zip(rows, starts, lengths, kinds, strict=True):
        groups.setdefault(row, [[] for _ in KINDS])[number].append(Span(KINDS[number].name, start, start + length))
    return [without_overlap(groups[row]) if row in groups else [] for row in range(n_texts)]
