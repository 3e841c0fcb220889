"""Figures, tables and plots as plain values: what a plan says, before anything is drawn. JSON-ready."""

from llm.plan.sources import SOURCES


def figure(name: str, value: float | int | str, unit: str, formula: str, source: str) -> dict:
    """One number of the plan. unit: bytes, parameters, FLOPs, tokens, seconds, days, USD, share, TFLOP/s, or any word.
    source: short names of llm/plan/sources.py, joined by `; `, each with an optional `, place`."""
    for part in source.split("; "):
        if part.split(", ")[0] not in SOURCES:
            raise KeyError(f"{name}: {part} is not in llm/plan/sources.py")
    return {"name": name, "value": value, "unit": unit, "formula": formula, "source": source}


def table(title: str, columns: list[str], units: list[str], rows: list[list], note: str = "") -> dict:
    """A table whose rows are objects, one key for each column; `units` as in `figure`, "" for text."""
    if "" in columns or len(set(columns)) < len(columns):
        raise ValueError(f"{title}: every column needs a name of its own, got {columns}")
    described = [{"name": name, "unit": unit} for name, unit in zip(columns, units, strict=True)]
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    return {"title": title, "columns": described, "rows": objects, "note": note}


def bars(title: str, unit: str, rows: list[tuple[str, dict[str, float]]], limit: float | None = None) -> dict:
    """Horizontal bars: label -> parts that are stacked. limit: a line across all, e.g. a GPU's memory."""
    return {
        "kind": "bars",
        "title": title,
        "unit": unit,
        "rows": [[label, parts] for label, parts in rows],
        "limit": limit,
    }


def curves(title: str, x: str, y: str, units: tuple[str, str], lines: dict[str, list], marks=(), log=(True, True)):
    """Lines of (x, y) points by name, `marks` as (label, x, y); axes logarithmic where `log` says so."""
    return {
        "kind": "curves",
        "title": title,
        "x": x,
        "y": y,
        "units": list(units),
        "lines": lines,
        "marks": [list(mark) for mark in marks],
        "log": list(log),
    }


def section(place: str, title: str, note: str, figures=(), tables=(), plots=()) -> dict:
    """A part of the plan. place: the fragment by which it is linked to."""
    return {
        "place": place,
        "title": title,
        "note": note,
        "figures": list(figures),
        "tables": list(tables),
        "plots": list(plots),
    }
