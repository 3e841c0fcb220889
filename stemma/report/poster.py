"""A poster: stages, their blocks, and what each block shows of a run. It is described in YAML, filled from artifacts.

`load` reads the description, `filled` puts a run's figures, plots and samples into it. An unknown key is refused by
name. Only the description (report/poster.yaml) knows which stages, blocks and metrics there are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path

from stemma.base.errors import StemmaError
from stemma.base.wording import short
from stemma.provenance.catalogue import Artifact
from stemma.report import pictures
from stemma.report.plot import Level, Series, chart
from stemma.report.samples import first_rows, rows_at, series_of
from stemma.report.values import at, chosen, figures, gathered, is_number, listed, shown, with_error

BARS = 16  # most bars of a chart; the rest is summed up in one
TABLE = 40  # most rows of a table


@dataclass
class Block:
    """One thing that a stage does. `of`, `where`, `unless` choose its artifacts, see values.chosen."""

    tag: str
    title: str
    line: str
    text: str = ""
    formula: str = ""
    of: list[str] = field(default_factory=list)
    where: dict = field(default_factory=dict)
    unless: dict = field(default_factory=dict)
    figures: list[dict] = field(default_factory=list)
    plots: list[dict] = field(default_factory=list)
    samples: list[dict] = field(default_factory=list)


@dataclass
class Stage:
    """A step of the pipeline; `folder` is that of its scripts, `flow` the figures on the arrow that leaves it."""

    folder: str
    name: str
    title: str
    line: str
    badge: str
    blocks: list[Block]
    flow: list[dict] = field(default_factory=list)


@dataclass
class Poster:
    """The whole poster. `headline`: figures at the top and in the summary; `glance`: plots and samples that are shown
    without opening anything; `notes`: sentences that are said where they hold; `reference`: figures of another run."""

    title: str
    subtitle: str
    stages: list[Stage]
    headline: list[dict] = field(default_factory=list)
    notes: list[dict] = field(default_factory=list)
    glance: dict = field(default_factory=dict)
    reference: dict = field(default_factory=dict)


@dataclass
class Filled:
    """A block with a run's figures, plots and samples."""

    block: Block
    id: str
    artifacts: list[Artifact]
    figures: list[tuple[str, str]]
    plots: list[dict]
    samples: list[dict]


def load(file: Path) -> Poster:
    """Read a description. Raises StemmaError for an unreadable file and for a wrong key."""
    import yaml

    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise StemmaError(f"{file}: not a poster ({error}); see report/poster.yaml") from error
    poster = made(Poster, value, str(file))
    poster.stages = [made(Stage, stage, f"{file}: stages") for stage in poster.stages]
    for stage in poster.stages:
        stage.blocks = [made(Block, block, f"{file}: {stage.folder}") for block in stage.blocks]
    return poster


def made(kind: type, value: object, place: str):
    """Make a dataclass of a mapping. Raises StemmaError for an unknown or missing key; `place` names it."""
    if not isinstance(value, dict):
        raise StemmaError(f"{place}: {value!r} is no mapping; a {kind.__name__.lower()} is one")
    known = {one.name for one in fields(kind)}
    if unknown := sorted(value.keys() - known):
        raise StemmaError(f"{place}: unknown key {unknown[0]}; known here: {', '.join(sorted(known))}")
    try:
        return kind(**value)
    except TypeError as error:
        raise StemmaError(f"{place}: {error}; add it") from None


def choice(block: Block) -> dict:
    """Return what chooses a block's artifacts, as a spec that values.chosen understands."""
    return {"of": block.of, "where": block.where, "unless": block.unless}


def filled(stage: Stage, block: Block, artifacts: list[Artifact], readable: set[Path]) -> Filled:
    """Fill a block with this run's figures, plots and samples; only `readable` artifacts are opened."""
    opened = [item for item in artifacts if item.path in readable]
    default = choice(block)
    plots = [plot for spec in block.plots for plot in drawn(opened, with_default(spec, default))]
    return Filled(
        block,
        f"{stage.folder}-{block.tag.lower()}",
        chosen(artifacts, default),
        figures(artifacts, block.figures, default),
        plots,
        [sample for spec in block.samples for sample in sampled(opened, with_default(spec, default))],
    )


def at_a_glance(poster: Poster, artifacts: list[Artifact], readable: set[Path]) -> dict:
    """Return the plots and samples of `glance`, filled."""
    opened = [item for item in artifacts if item.path in readable]
    return {
        "plots": [plot for spec in poster.glance.get("plots", []) for plot in drawn(opened, spec)],
        "samples": [sample for spec in poster.glance.get("samples", []) for sample in sampled(opened, spec)],
    }


def with_default(spec: dict, default: dict) -> dict:
    """Return a spec that chooses artifacts, by default those of its block."""
    return spec if "of" in spec else {**default, **spec}


def drawn(artifacts: list[Artifact], spec: dict) -> list[dict]:
    """Return the plots of one spec, by its kind; with `each`, one an artifact. None where records have no values."""
    if spec.get("kind") not in KINDS:
        raise StemmaError(f"poster: plot {spec.get('title')!r}: kind must be one of {', '.join(KINDS)}")
    groups = [[item] for item in chosen(artifacts, spec)] if spec.get("each") else [artifacts]
    found = []
    for group in groups:
        made_of = KINDS[spec["kind"]](group, spec)
        plots = made_of if isinstance(made_of, list) else [made_of] if made_of else []
        told = {"caption": spec.get("caption", ""), "fold": spec.get("fold", False), "more": 0}
        found += [{**told, **plot, "title": titled(plot["title"], group, spec)} for plot in plots]
    return found


def titled(title: str, group: list[Artifact], spec: dict) -> str:
    """Return a plot's title; with `each` it names the artifact: its directory, or a file without its ending."""
    if not spec.get("each"):
        return title
    [item] = group
    return f"{title}: {pictures.name_of(item)}"


def curve(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw lines: columns of a parquet or JSON lines file (`file`, `x`, `y`), or one point an artifact (`x`, `y`
    paths). Where `y` is a mapping, each of its keys is a line."""
    found = []
    for entry in spec["series"]:
        one = {**{key: spec[key] for key in ("of", "where", "unless") if key in spec}, **entry}
        points = []
        for item in chosen(artifacts, one):
            if "file" in one:
                points += series_of(item, one["file"], one["x"], one["y"])
            else:
                points += list(zip(at(item, one["x"]), at(item, one["y"]), strict=False))
        for label, line in split(one["label"], points).items():
            line = [(x, y) for x, y in line if is_number(x) and is_number(y)]
            found += [Series(label, line)] if line else []
    if not found:
        return None
    levels = []
    for entry in spec.get("levels", []):
        value = gathered(chosen(artifacts, entry), entry["value"], "last")
        levels += [Level(entry["label"], value)] if is_number(value) else []
    kind = spec.get("as", "number")
    height = short if kind == "number" else partial(shown, kind=kind)
    svg = chart(spec["title"], found, levels, spec.get("x", "step"), spec.get("y", ""), height)
    legend = [(one.label, shown(one.points[-1][1], kind), "line") for one in found]
    legend += [(level.label, shown(level.y, kind), "level") for level in levels]
    return {"kind": "curve", "title": spec["title"], "svg": svg, "legend": legend}


def split(label: str, points: list[tuple]) -> dict[str, list[tuple]]:
    """Return label -> line: one line, or one for each key where the points' heights are mappings."""
    lines: dict[str, list[tuple]] = {}
    for x, y in points:
        for key, height in y.items() if isinstance(y, dict) else [(label, y)]:
            lines.setdefault(key, []).append((x, height))
    return lines


def bars(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw bars of a mapping of numbers, summed over artifacts (`field`: of those of its entries that are mappings), or
    one an artifact (`by`). Bars beyond the first are summed up; `rest: most` gives their largest, where a sum says
    nothing."""
    found: dict[str, float] = {}
    for item in chosen(artifacts, spec):
        for value in at(item, spec["value"]):
            if "by" in spec:
                pairs = [(str(name), value) for name in at(item, spec["by"])[:1]]
            else:
                pairs = list(value.items()) if isinstance(value, dict) else []
            for name, number in pairs:
                if "field" in spec:
                    number = number.get(spec["field"]) if isinstance(number, dict) else None
                if is_number(number):
                    found[name] = found.get(name, 0) + number
    if not found:
        return None
    ordered = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    if len(ordered) > BARS:
        rest = ordered[BARS - 1 :]
        one = (f"{len(rest)} more", sum(number for _, number in rest))
        if spec.get("rest") == "most":
            one = (f"{len(rest)} more, at most", rest[0][1])
        ordered = [*ordered[: BARS - 1], one]
    longest = max(abs(number) for _, number in ordered) or 1
    kind = spec.get("as", "number")
    rows = [(name, shown(number, kind), round(abs(number) / longest * 100, 1)) for name, number in ordered]
    return {"kind": "bars", "title": spec["title"], "rows": rows}


def table(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Make a table with a row an artifact that has a name (`by`), or a row an entry of a mapping of mappings (`value`;
    `rows` selects entries), or of a list of mappings, where `name` is the field that names them. most: rows, at
    most."""
    columns = spec["columns"]
    names = [column["label"] for column in columns]
    found = []
    for item in chosen(artifacts, spec):
        if "by" in spec:
            name = gathered([item], spec["by"], "last")
            found += [(name, [said_of(item, column) for column in columns])] if name is not None else []
            continue
        for value in at(item, spec["value"]):
            if isinstance(value, list):
                found += [(one.get(spec["name"]), [said(one.get(c["value"]), c) for c in columns]) for one in value]
                continue
            wanted = spec.get("rows", list(value))
            found += [
                (name, [said(value[name].get(c["value"]), c) for c in columns]) for name in wanted if name in value
            ]
    if not found:
        return None
    rows = [(str(name), cells) for name, cells in found[: spec.get("most", TABLE)]]
    more = len(found) - len(rows)
    return {"kind": "table", "title": spec["title"], "columns": names, "rows": rows, "more": more}


def said_of(item: Artifact, column: dict) -> str:
    """Return an artifact's cell of a column, with the standard error where the column names one."""
    text = said(gathered([item], column["value"], column.get("how", "last")), column)
    return with_error([item], column, text) if text else text


def said(value: object, column: dict) -> str:
    return "" if value is None else shown(value, column.get("as", "number"))


KINDS: dict[str, Callable[[list[Artifact], dict], list[dict] | dict | None]] = {
    "curve": curve,
    "bars": bars,
    "table": table,
    "heat": pictures.heat,
    "tiles": pictures.tiles,
    "strips": pictures.strips,
    "scatter": pictures.scatter,
    "spectrum": pictures.spectrum,
    "histogram": pictures.histogram,
    "profile": pictures.profile,
    "cross": pictures.cross,
}


def sampled(artifacts: list[Artifact], spec: dict) -> list[dict]:
    """Return the first rows of at most `artifacts` (3) of the chosen artifacts: of a file, or of a list at `value`."""
    found = []
    for item in chosen(artifacts, spec)[: spec.get("artifacts", 3)]:
        columns, count = listed(spec.get("columns", [])), spec.get("rows", 2)
        if "value" in spec:
            rows = rows_at(item, spec["value"], columns, count)
        else:
            rows = first_rows(item, spec.get("file"), columns, count)
        found += [{"title": spec.get("title", "Samples"), "item": item, "rows": rows}] if rows else []
    return found
