"""Holds a plan's figures, tables and plots as plain JSON-ready values, before anything is drawn."""

from llm.plan.sources import SOURCES


def figure(name: str, value: float | int | str, unit: str, formula: str, source: str) -> dict:
    """Return one number of the plan.

    `unit`: bytes, parameters, FLOPs, tokens, seconds, days, USD, share, TFLOP/s, or any word. `source`: short names of
    llm/plan/sources.py, joined by `; `, each with an optional `, place`. Raises KeyError for an unknown source.
    """
    for part in source.split("; "):
        if part.split(", ")[0] not in SOURCES:
            raise KeyError(f"{name}: {part} is not in llm/plan/sources.py")
    return {"name": name, "value": value, "unit": unit, "formula": formula, "source": source}


def table(title: str, columns: list[str], units: list[str], rows: list[list], note: str = "") -> dict:
    """Return a table whose rows are objects with one key per column; `units` as in `figure`, "" for text.

    Raises ValueError if column names are empty or repeated.
    """
    if "" in columns or len(set(columns)) < len(columns):
        raise ValueError(f"{title}: every column needs a name of its own, got {columns}")
    described = [{"name": name, "unit": unit} for name, unit in zip(columns, units, strict=True)]
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    return {"title": title, "columns": described, "rows": objects, "note": note}


def bars(title: str, unit: str, rows: list[tuple[str, dict[str, float]]], limit: float | None = None) -> dict:
    """Return a plot of horizontal stacked bars, label -> parts. `limit`: a line across all bars, e.g. a GPU's
    memory."""
    return {
        "kind": "bars",
        "title": title,
        "unit": unit,
        "rows": [[label, parts] for label, parts in rows],
        "limit": limit,
    }


def curves(title: str, x: str, y: str, units: tuple[str, str], lines: dict[str, list], marks=(), log=(True, True)):
    """Return a plot of lines, name -> (x, y) points, with `marks` as (label, x, y). `log`: which axes are
    logarithmic."""
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
    """Return a section of the plan. `place`: the fragment by which links reach it."""
    return {
        "place": place,
        "title": title,
        "note": note,
        "figures": list(figures),
        "tables": list(tables),
        "plots": list(plots),
    }
