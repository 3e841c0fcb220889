"""Spans of a text with a kind: as a column of a table, and replaced in the text. Finds none."""

from typing import NamedTuple

import polars as pl


class Span(NamedTuple):
    """`text[start:end]` is of this kind. Characters, not bytes."""

    kind: str
    start: int
    end: int


def span_lists(found: list[list[Span]]) -> pl.Series:
    """The spans of each text as one column, List(Struct(kind, start, end)): made of flat columns, for speed."""
    flat = pl.DataFrame(
        [(row, *span) for row, own in enumerate(found) for span in own],
        schema={"row": pl.UInt32, "kind": pl.String, "start": pl.UInt32, "end": pl.UInt32},
        orient="row",
    )
    lists = flat.group_by("row", maintain_order=True).agg(pii=pl.struct("kind", "start", "end"))
    rows = pl.DataFrame({"row": range(len(found))}, schema={"row": pl.UInt32})
    return rows.join(lists, on="row", how="left", maintain_order="left")["pii"].fill_null([])


def redact(text: str, found: list[Span]) -> str:
    """`text` with each span replaced by its kind in angle brackets, e.g. `<email>`; nothing else changes."""
    pieces = []
    position = 0
    for span in found:
        pieces += [text[position : span.start], f"<{span.kind}>"]
        position = span.end
    return "".join([*pieces, text[position:]])
