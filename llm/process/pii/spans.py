"""Spans of a text with a kind: as a column of a table, and replaced in the text."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl


class Span(NamedTuple):
    """`text[start:end]` is of this kind; positions are in characters, not bytes."""

    kind: str
    start: int
    end: int


def outside(start: int, end: int, others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the parts of [start, end) before, between and behind others, which overlap it and are sorted without
    overlaps. The first and the last may be empty, with an end before their start."""
    bounds = [start, *(bound for other in others for bound in other), end]
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def span_lists(found: list[list[Span]]) -> pl.Series:
    """Return the spans of each text as one column, List(Struct(kind, start, end)), made of flat columns for speed."""
    flat = pl.DataFrame(
        [(row, *span) for row, own in enumerate(found) for span in own],
        schema={"row": pl.UInt32, "kind": pl.String, "start": pl.UInt32, "end": pl.UInt32},
        orient="row",
    )
    lists = flat.group_by("row", maintain_order=True).agg(pii=pl.struct("kind", "start", "end"))
    rows = pl.DataFrame({"row": range(len(found))}, schema={"row": pl.UInt32})
    return rows.join(lists, on="row", how="left", maintain_order="left")["pii"].fill_null([])


CUT = ""  # the kind of a span that is removed without a trace


def with_cuts(found: list[Span], cuts: list[tuple[int, int]]) -> list[Span]:
    """Join spans and cuts (start, end) of one text in one list without overlaps, for `redact`. A span inside a cut goes
    with it; a span that reaches out of a cut is replaced whole and the cut ends there, so that no part of hidden text
    is left. Spans and cuts must each be ascending and without overlaps."""
    left = [span for span in found if not any(start <= span.start and span.end <= end for start, end in cuts)]
    result = list(left)
    for start, end in cuts:
        for span in left:
            if start < span.end and span.start < end:
                if start < span.start:
                    result.append(Span(CUT, start, span.start))
                start = span.end
        if start < end:
            result.append(Span(CUT, start, end))
    return sorted(result, key=lambda span: span.start)


def redact(text: str, found: list[Span]) -> str:
    """Return `text` with each span replaced by its kind in angle brackets, e.g. `<email>`, or cut; the rest is
    unchanged."""
    pieces = []
    position = 0
    for span in found:
        pieces += [text[position : span.start], f"<{span.kind}>" if span.kind else CUT]
        position = span.end
    return "".join([*pieces, text[position:]])
