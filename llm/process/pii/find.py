"""Finds spans of personal data in text; what happens to them is decided by `clean`.

Kinds by pattern are email, ipv6, ipv4, iban, credit_card, ssn, phone (llm/process/pii/patterns.py); `name` is found by
llm/process/pii/person_names.py. The result is that of running every pattern over the whole text: where two spans
overlap, the kind that comes first in KINDS wins, and of the other what lies outside is left. Patterns are tried only
where one pass over the bytes finds that they may match.
"""

import re
from bisect import bisect_left, bisect_right

import numpy as np
import polars as pl

from kernels.characters import characters
from kernels.pii import candidates
from llm.io.utf8 import utf8
from llm.process.pii.kind import CONTEXT, Kind
from llm.process.pii.patterns import KINDS
from llm.process.pii.spans import Span, outside

BYTES = 4  # of one character, at most
DIGITS = re.compile("[+(]*[0-9](?:.*[0-9])?")  # from the first to the last
# What word processors and French typography put between the groups of a number -> what the patterns look for.
SEPARATORS = {
    **dict.fromkeys("\u00a0\u2007\u2009\u202f", " "),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"),  # hyphens, dashes as wide as a digit or an n
}


def without_overlap(text: str, groups: list[list[Span]]) -> list[Span]:
    """Return the spans of all groups in text order. Of one that overlaps spans of earlier groups, what lies outside of
    them is left, if digits do."""
    found: list[Span] = []
    for group in groups:
        starts, ends = [span.start for span in found], [span.end for span in found]
        # As `found` is sorted without overlaps, the spans that `new` overlaps are those between bisect's two indices.
        free = [
            part
            for new in group
            for part in parts_outside(text, new, found[bisect_right(ends, new.start) : bisect_left(starts, new.end)])
        ]
        if free:
            found = sorted([*found, *free], key=lambda span: span.start)
    return found


def parts_outside(text: str, new: Span, others: list[Span]) -> list[Span]:
    """Return the span, or its parts that lie outside of others, from their first digit (or sign or bracket before it)
    to their last."""
    if not others:
        return [new]
    parts = [DIGITS.search(text, *part) for part in outside(new.start, new.end, [other[1:] for other in others])]
    return [Span(new.kind, *part.span()) for part in parts if part]


def spans_of(texts: pl.Series) -> list[list[Span]]:
    """Return the spans of each text, in text order without overlaps, in one pass over the bytes. texts: polars String,
    as for llm.io.utf8."""
    texts = with_plain_separators(texts)
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
    return collected(texts, rows, starts, lengths, kinds)


def with_plain_separators(texts: pl.Series) -> pl.Series:
    """Return texts of as many characters, with blanks and hyphens in place of SEPARATORS; most have none."""
    rows = texts.str.contains(f"[{''.join(SEPARATORS)}]").fill_null(False).arg_true()
    if not len(rows):
        return texts
    return texts.scatter(rows, texts.gather(rows).str.replace_many(SEPARATORS))


def match_at(data: memoryview, begin: int, position: int, end: int, kind: Kind):
    """Return the valid match of this kind at a byte of the document data[begin:end]; only a window around it is
    decoded.

    A window's edge may split a character, which is left out: no pattern looks that far."""
    before = str(data[max(begin, position - (CONTEXT + 1) * BYTES) : position], "utf-8", "ignore")
    after = str(data[position : min(end, position + kind.reach)], "utf-8", "ignore")
    return kind.match(before + after, len(before))


def collected(
    texts: pl.Series, rows: list[int], starts: list[int], lengths: list[int], kinds: list[int]
) -> list[list[Span]]:
    """Return the spans of each text, without overlaps."""
    groups: dict[int, list[list[Span]]] = {}
    for row, start, length, number in zip(rows, starts, lengths, kinds, strict=True):
        groups.setdefault(row, [[] for _ in KINDS])[number].append(Span(KINDS[number].name, start, start + length))
    # Spans of one kind never overlap, so their text is not looked at.
    several = {row for row, own in groups.items() if sum(map(bool, own)) > 1}
    return [
        without_overlap(texts[row] if row in several else "", groups[row]) if row in groups else []
        for row in range(len(texts))
    ]
