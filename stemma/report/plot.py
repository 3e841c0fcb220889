"""Draws charts as inline SVG: lines, a histogram, places with labels. They stretch with their box; text keeps its size.

Positions across are in percent and down in pixels; colours are classes (s0, s1, ...) of the page's style, so that the
chart follows light and dark. Bars are plain HTML in the template; what is drawn is chosen by stemma/report/poster.py.
"""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass

from stemma.base.wording import short
from stemma.report.cells import LEVELS

HEIGHT = 200  # pixels of the plot's field
POINTS = 400  # of a series; a longer one keeps the minimum and maximum of each stretch
COLOURS = 6  # s0 to s5 of the page's style
WIDTHS = (1000, 300)  # pixels of a map on a wide and on a narrow window
LETTER, LINE = 6.6, 13  # pixels of a label's letter across and line down
MARKED = 12  # a series of at most so many points shows them as dots


@dataclass(frozen=True)
class Series:
    """A line through (x, y), in the order given."""

    label: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with."""

    label: str
    y: float


def chart(
    title: str,
    series: list[Series],
    levels: list[Level],
    x_label: str,
    y_label: str,
    height: Callable[[float], str] = short,
    log: bool = False,
    zero: bool = False,
) -> str:
    """Return the SVG element. `series` must hold at least one point. height: how a tick of the y axis is written. log:
    the y axis is logarithmic; all of y must be positive. zero: it reaches down to zero."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points] + [level.y for level in levels] + [0.0] * zero
    x_ticks = ticks(min(xs), max(xs))
    y_ticks = powers(min(ys), max(ys)) if log else ticks(min(ys), max(ys))
    low, high = min(*y_ticks, *ys), max(*y_ticks, *ys)
    bent: Callable[[float], float] = math.log10 if log else float

    def across(x: float) -> float:
        return round((x - min(xs)) / ((max(xs) - min(xs)) or 1) * 1000, 1)

    def down(y: float) -> float:
        return round((bent(high) - bent(y)) / ((bent(high) - bent(low)) or 1) * HEIGHT, 1)

    y_axis = [(down(y), height(y)) for y in y_ticks]
    x_axis = [(across(x) / 10, short(x)) for x in x_ticks if min(xs) <= x <= max(xs)]
    parts = axes(title, x_axis, y_axis, x_label, y_label)
    for number, level in enumerate(levels):
        y = down(level.y)
        parts.append(f'<line class="level s{len(series) + number}" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
    parts.append(f'<svg viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none" width="100%" height="{HEIGHT}">')
    colours = colours_of(len(series))
    for number, one in enumerate(series):
        points = " ".join(f"{across(x)},{down(y)}" for x, y in thinned(one.points))
        parts.append(f'<polyline class="{colours[number]}" points="{points}" vector-effect="non-scaling-stroke"/>')
    parts.append("</svg>")
    for number, one in enumerate(series):
        if len(one.points) <= MARKED:
            parts += [
                f'<circle class="{colours[number]}" cx="{across(x) / 10}%" cy="{down(y)}" r="3.5"/>'
                for x, y in one.points
            ]
    return "".join([*parts, "</svg>"])


def colours_of(count: int) -> list[str]:
    """Return the classes of so many lines: colours, or, of many lines, shades in their order."""
    if count <= COLOURS:
        return [f"s{number}" for number in range(count)]
    return [f"q{1 + round((LEVELS - 1) * number / (count - 1))}" for number in range(count)]


def axes(
    title: str, x_axis: list[tuple[float, str]], y_axis: list[tuple[float, str]], x_label: str, y_label: str
) -> list[str]:
    """Return the beginning of a chart: x_axis has (percent from the left, label), y_axis (pixels from above, label)."""
    parts = [f'<svg class="chart" role="img" aria-label="{html.escape(title)}" width="100%" height="{HEIGHT}">']
    for y, label in y_axis:
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="-8" y="{y + 4}" text-anchor="end">{label}</text>')
    for place, label in x_axis:
        anchor = "start" if place < 5 else "end" if place > 95 else "middle"
        parts.append(f'<text x="{place}%" y="{HEIGHT + 18}" text-anchor="{anchor}">{label}</text>')
    parts.append(f'<text class="axis" x="100%" y="{HEIGHT + 36}" text-anchor="end">{html.escape(x_label)}</text>')
    parts.append(f'<text class="axis" x="-8" y="-12">{html.escape(y_label)}</text>')
    return parts


def histogram(title: str, edges: list[float], counts: list[float], x_label: str, y_label: str) -> str:
    """Return bars between edges, of which there is one more than counts; counts are not negative."""
    y_ticks = ticks(0, max(counts) or 1)
    low, high = edges[0], edges[-1]
    scale = HEIGHT / max(*y_ticks, *counts)

    def across(x: float) -> float:
        return round((x - low) / ((high - low) or 1) * 1000, 1)

    x_axis = [(across(x) / 10, short(x)) for x in ticks(low, high) if low <= x <= high]
    parts = axes(title, x_axis, [(round(HEIGHT - y * scale, 1), short(y)) for y in y_ticks], x_label, y_label)
    bars = "".join(
        f"M{across(begin)} {HEIGHT}V{round(HEIGHT - count * scale, 1)}H{across(end)}V{HEIGHT}z"
        for begin, end, count in zip(edges, edges[1:], counts, strict=False)
        if count
    )
    field = f'viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none" width="100%" height="{HEIGHT}"'
    return "".join([*parts, f'<svg {field}><path class="bar" d="{bars}"/></svg></svg>'])


def scatter(title: str, places: list[tuple[float, float, str]]) -> str:
    """Return labelled places (x, y, label). A label that would lie on an earlier one stands at its place's title alone:
    on a narrow window more of them do."""
    xs, ys = [x for x, _, _ in places], [y for _, y, _ in places]
    tall = 2 * HEIGHT
    parts = [f'<svg class="chart map" role="img" aria-label="{html.escape(title)}" width="100%" height="{tall}">']
    taken: dict[int, list[tuple[float, float, float]]] = {width: [] for width in WIDTHS}
    for x, y, label in places:
        left = (x - min(xs)) / ((max(xs) - min(xs)) or 1)
        top = round((max(ys) - y) / ((max(ys) - min(ys)) or 1) * (tall - 20) + 10, 1)
        said = html.escape(label)
        parts.append(f'<circle class="dot" cx="{left * 100:.1f}%" cy="{top}" r="2.5"><title>{said}</title></circle>')
        anchor, wide = ("end" if left > 0.8 else "start"), LETTER * len(label) + 10
        begin = {width: left * width - (wide if anchor == "end" else 0) for width in WIDTHS}
        free = [width for width in WIDTHS if fits(taken[width], begin[width], top, wide)]
        if free:
            shift = -5 if anchor == "end" else 5
            kind = "" if len(free) == len(WIDTHS) else f' class="{"wide" if free[0] == WIDTHS[0] else "narrow"}"'
            where = f'x="{left * 100:.1f}%" dx="{shift}" y="{top + 4:.1f}" text-anchor="{anchor}"'
            parts.append(f"<text{kind} {where}>{said}</text>")
    return "".join([*parts, "</svg>"])


def fits(taken: list[tuple[float, float, float]], x: float, y: float, wide: float) -> bool:
    """Is there room for a label that begins at a place, in pixels? If so it is taken."""
    if any(abs(y - other_y) < LINE and x < other_x + other and other_x < x + wide for other_x, other_y, other in taken):
        return False
    taken.append((x, y, wide))
    return True


def powers(low: float, high: float) -> list[float]:
    """Return powers of ten from at most `low` to at least `high`, which are positive; if there are many, every n-th."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    step = math.ceil((last - first) / 5) or 1
    return [10.0**power for power in range(first, last + step, step)]


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) from at most `low` to at least `high`."""
    if low == high:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    unit = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.floor(low / unit + 1e-9)
    last = math.ceil(high / unit - 1e-9)
    values = [round(number * unit, 12) for number in range(first, last + 1)]
    return [int(value) if value == int(value) else value for value in values]


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most POINTS points that keep every peak: of each stretch the minimum and maximum, in their order."""
    if len(points) <= POINTS:
        return points
    stretch = math.ceil(len(points) / (POINTS // 2))
    found = []
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        ends = {min(range(len(part)), key=lambda i: part[i][1]), max(range(len(part)), key=lambda i: part[i][1])}
        found += [part[i] for i in sorted(ends)]
    return found
