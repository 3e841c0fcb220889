"""The page of a run, derived from its records alone: one self-contained HTML file, no network, no script.

Every text from a record is escaped. What it does not do: judge the figures, or read what an artifact contains, but for
SVG plots, which are shown as images.
"""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from stemma import digest
from stemma.catalogue import Artifact, current, figure, short, size_text
from stemma.store import Store

TEMPLATES = Path(__file__).with_name("templates")


def write_report(store: Store, page: Path, figures: list[str]) -> None:
    """Write the page; `figures` are `label=target:metric` for the head of the page."""
    artifacts = current(store)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["html"]), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"short": short, "size": size_text, "rows": rows, "inline": inline}
    stages: dict[str, list[Artifact]] = {}
    for item in artifacts:
        stages.setdefault(item.stage, []).append(item)
    head = []
    for text in figures:
        label, _, place = text.partition("=")
        value = figure(artifacts, *place.split(":", 1))
        if value is not None:
            head.append((label, short(value)))
    text = environment.get_template("report.html").render(
        stages=stages, figures=head, paths={str(a.path) for a in artifacts}
    )
    digest.write_atomically(page, text.encode())


def rows(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Nested figures as flat (name, text) rows: {"a": {"b": 1}} -> ("a.b", "1")."""
    if isinstance(value, dict):
        return [
            row for name, inner in value.items() for row in rows(inner, f"{prefix}.{name}" if prefix else str(name))
        ]
    if isinstance(value, list):
        return [(prefix, ", ".join(short(item) for item in value))]
    return [(prefix, short(value))]


def inline(path: Path) -> str | None:
    """An SVG plot as a data URI, so that nothing inside it can act on the page; None for anything else."""
    if path.suffix != ".svg":
        return None
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
