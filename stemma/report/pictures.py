"""Makes pictures of what an artifact holds: matrices, maps, spectra, histograms, as a poster's specs ask for them.

Each kind takes the artifacts and a spec, and returns a plot for the page's template, or None where there is nothing to
draw. What a number means is said by the spec alone.
"""

import math
import re
from functools import partial

from stemma.base.wording import short
from stemma.provenance.catalogue import Artifact
from stemma.report import cells, plot
from stemma.report.values import at, chosen, is_number, shown

TILES = 400  # of a figure, at most


def values_of(artifacts: list[Artifact], spec: dict, path: str) -> list:
    """Return all values that the chosen artifacts have at a path."""
    return [value for item in chosen(artifacts, spec) for value in at(item, path)]


def mappings(values: list) -> list[dict]:
    """Return those entries of the lists among values that are mappings."""
    return [one for value in values if isinstance(value, list) for one in value if isinstance(one, dict)]


def labelled(artifacts: list[Artifact], spec: dict, path: str, count: int) -> list[str]:
    """Return `count` labels of an axis: the texts at a path, or numbers from 0 for an axis that a spec only names."""
    found = values_of(artifacts, spec, path) if "." in path else []
    if found and isinstance(found[0], list):
        return [str(label) for label in found[0]]
    return [str(number) for number in range(count)]


def legend_of(scale: cells.Scale, kind: str) -> dict:
    """Return a scale's colours, and what its ends are."""
    low = -scale.high if scale.signed else scale.low
    return {"low": shown(low, kind), "high": shown(scale.high, kind), "classes": cells.colours(scale.signed)}


def heat(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw a matrix (`value`) as a heat map. rows, columns: what the axes are, or a path to their labels; without one
    an axis has none. signed: zero has no colour; zero: colours begin at zero."""
    found = [value for value in values_of(artifacts, spec, spec["value"]) if cells.is_matrix(value)]
    if not found:
        return None
    matrix = found[-1]
    scale = cells.scale_of(matrix, spec.get("signed", False), spec.get("zero", False))
    sizes = {"rows": len(matrix), "columns": max(map(len, matrix))}
    names = [labelled(artifacts, spec, spec[axis], sizes[axis]) if axis in spec else [] for axis in sizes]
    ways = {"rows": "down", "columns": "across"}
    return {
        "kind": "heat",
        "title": spec["title"],
        "svg": cells.heat(spec["title"], matrix, scale, *names),
        "axes": ", ".join(f"{ways[axis]}: {spec[axis]}" for axis in ways if "." not in spec.get(axis, ".")),
        "long": max(map(len, names[0]), default=0) > 4,
        "scale": legend_of(scale, spec.get("as", "number")),
    }


def tiles(artifacts: list[Artifact], spec: dict) -> list[dict]:
    """Draw lists of small matrices, a figure for each entry of `value`: its `name` is a text, `names` the rows' labels,
    `tiles` a list of mappings with the matrix at `cells` and what it is at each of `by`. All have one scale."""
    found = []
    for entry in values_of(artifacts, spec, spec["value"]):
        if not isinstance(entry, dict):
            continue
        small = [one for one in mappings([entry.get(spec["tiles"])]) if cells.is_matrix(one.get(spec["cells"]))]
        if not small:
            continue
        scale = cells.scale_of([row for one in small for row in one[spec["cells"]]], zero=True)
        if "high" in spec:
            scale = cells.Scale(0.0, spec["high"])
        title = f"{spec['title']}: {entry[spec['name']]}"
        drawn = []
        for one in small[:TILES]:
            label = ", ".join(f"{field} {short(one.get(field))}" for field in spec["by"])
            drawn.append((label, cells.tile(f"{title}, {label}", one[spec["cells"]], scale)))
        names = [str(name) for name in entry.get(spec.get("names", ""), [])]
        more = len(small) - len(drawn)
        found.append({"kind": "tiles", "title": title, "tiles": drawn, "names": names, "more": more})
    return found


def strips(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw matrices in little under each other, each on a scale of its own: a list (`value`) of mappings with a title
    and cells."""
    drawn = []
    for one in mappings(values_of(artifacts, spec, spec["value"])):
        if cells.is_matrix(one.get("cells")):
            title, scale = str(one.get("title", "")), cells.scale_of(one["cells"], spec.get("signed", False), zero=True)
            high = shown(scale.high, spec.get("as", "number"))
            drawn.append((title, cells.tile(title, one["cells"], scale), high))
    return {"kind": "strips", "title": spec["title"], "strips": drawn} if drawn else None


def scatter(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw a list (`value`) of mappings as places: `x`, `y` and `label` are their fields."""
    entries = mappings(values_of(artifacts, spec, spec["value"]))
    triples = [(one.get(spec["x"]), one.get(spec["y"]), str(one.get(spec["label"], ""))) for one in entries]
    places = [(x, y, label) for x, y, label in triples if is_number(x) and is_number(y)]
    if not places:
        return None
    return {"kind": "scatter", "title": spec["title"], "svg": plot.scatter(spec["title"], places)}


def spectrum(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw a mapping (`value`) from names to [x, y] points as lines over a logarithmic y axis; points that are not
    above zero have no place there."""
    lines: list[plot.Series] = []
    for value in values_of(artifacts, spec, spec["value"]):
        for name, points in value.items() if isinstance(value, dict) else ():
            kept = [(x, y) for x, y in points if is_number(x) and is_number(y) and y > 0]
            lines += [plot.Series(str(name), kept)] if kept else []
    if not lines:
        return None
    lines = lines[: spec.get("most", 100)]
    svg = plot.chart(spec["title"], lines, [], spec.get("x", ""), spec.get("y", ""), log=True)
    legend = lines_legend(lines, "number", 0)
    if len(lines) > plot.COLOURS:  # layers, which are shades in their order
        legend = [legend[0], legend[-1]]
    return {"kind": "curve", "title": spec["title"], "svg": svg, "legend": legend}


def lines_legend(lines: list[plot.Series], kind: str, point: int) -> list[tuple[str, str, str]]:
    """Return (label, the height of one of its points, class) of every line."""
    colours = plot.colours_of(len(lines))
    return [
        (line.label, shown(line.points[point][1], kind), f"line {c}") for line, c in zip(lines, colours, strict=True)
    ]


def histogram(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw {edges, counts} (`value`) as bars; of several artifacts the last."""
    found = [value for value in values_of(artifacts, spec, spec["value"]) if is_histogram(value)]
    if not found:
        return None
    edges, counts = found[-1]["edges"], found[-1]["counts"]
    svg = plot.histogram(spec["title"], edges, counts, spec.get("x", ""), spec.get("y", "count"))
    return {"kind": "curve", "title": spec["title"], "svg": svg, "legend": []}


def profile(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Draw how a mapping of mappings (`value`) runs along the number in its names, which the expression `number` finds:
    the mean of a field over the names with the same number. `fields`: label -> field, a line each; of several artifacts
    each has its lines."""
    wanted = re.compile(spec.get("number", r"(-?\d+(?:\.\d+)?)"))
    items = [item for item in chosen(artifacts, spec) if mapping_at(item, spec["value"])]
    lines = []
    for item in items:
        for label, field in spec["fields"].items():
            sums: dict[float, list[float]] = {}
            for name, entry in mapping_at(item, spec["value"]).items():
                found, number = wanted.search(name), entry.get(field) if isinstance(entry, dict) else None
                if found and is_number(number):
                    sums.setdefault(float(found[1]), []).append(number)
            points = [(x, math.fsum(ys) / len(ys)) for x, ys in sorted(sums.items())]
            named = ", ".join([name_of(item)] * (len(items) > 1) + [label] * bool(label))
            lines += [plot.Series(named or name_of(item), points)] if points else []
    if not lines:
        return None
    kind = spec.get("as", "number")
    svg = plot.chart(
        spec["title"], lines, [], spec.get("x", ""), spec.get("y", ""), partial(shown, kind=kind), zero=True
    )
    legend = lines_legend(lines, kind, -1)
    return {"kind": "curve", "title": spec["title"], "svg": svg, "legend": legend}


def name_of(item: Artifact) -> str:
    """Return what an artifact is called among those of its kind: its directory, or its file without the ending."""
    return item.target.rpartition("/")[2].removesuffix(".json")


def cross(artifacts: list[Artifact], spec: dict) -> dict | None:
    """Make a table of mappings from names to numbers (`value`) with a row a name and a column an artifact. before: a
    first column, of the last artifact that has it. marked: a path to the names that get a star."""
    items = [item for item in chosen(artifacts, spec) if of_numbers(item, spec["value"])]
    columns = [
        (name_of(item), of_numbers(item, spec["value"]), at(item, spec.get("marked", "size.none"))) for item in items
    ]
    earlier = [found for item in items if (found := of_numbers(item, spec.get("before", "size.none")))]
    if not columns:
        return None
    names, kind = sorted({name for _, numbers, _ in columns for name in numbers}), spec.get("as", "number")
    columns = [("before", found, []) for found in earlier[-1:]] + columns
    rows = []
    for name in names:
        texts = [
            shown(numbers[name], kind) + "*" * any(name in seen for seen in marked) if name in numbers else ""
            for _, numbers, marked in columns
        ]
        rows.append((name, texts))
    return {"kind": "table", "title": spec["title"], "columns": [label for label, *_ in columns], "rows": rows}


def of_numbers(item: Artifact, path: str) -> dict[str, float]:
    """Return the mapping at a path, as far as its values are numbers; {} where there is none."""
    return {name: number for name, number in mapping_at(item, path).items() if is_number(number)}


def mapping_at(item: Artifact, path: str) -> dict:
    """Return the last mapping at a path; {} where there is none."""
    found = [value for value in at(item, path) if isinstance(value, dict)]
    return found[-1] if found else {}


def is_histogram(value: object) -> bool:
    """Has it edges that rise, one more than counts, and nothing but numbers?"""
    edges, counts = (value.get("edges"), value.get("counts")) if isinstance(value, dict) else (None, None)
    if not isinstance(edges, list) or not isinstance(counts, list) or len(edges) != len(counts) + 1 or not counts:
        return False
    return all(map(is_number, [*edges, *counts])) and edges == sorted(edges)
