"""Draws a line chart as inline SVG: axes, ticks, series, levels. It stretches with its box; its text keeps its size.

Positions across are in percent and down in pixels; colours are classes (s0, s1, ...) of the page's style, so that the
chart follows light and dark. Bars are plain HTML in the template; what is drawn is chosen by stemma/report/poster.py.
"""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass

from stemma.base.wording import short

HEIGHT = 200  # pixels of the plot's field
POINTS = 400  # of a series; a longer one keeps the minimum and maximum of each stretch
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
) -> str:
    """Return the SVG element. `series` must hold at least one point. height: how a tick of the y axis is written."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points] + [level.y for level in levels]
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    low, high = min(*y_ticks, *ys), max(*y_ticks, *ys)

    def across(x: float) -> float:
        return round((x - min(xs)) / ((max(xs) - min(xs)) or 1) * 1000, 1)

    def down(y: float) -> float:
        return round((high - y) / ((high - low) or 1) * HEIGHT, 1)

    parts = [f'<svg class="chart" role="img" aria-label="{html.escape(title)}" width="100%" height="{HEIGHT}">']
    for y in y_ticks:
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{down(y)}" y2="{down(y)}"/>')
        parts.append(f'<text x="-8" y="{down(y) + 4}" text-anchor="end">{height(y)}</text>')
    for x in x_ticks:
        if min(xs) <= x <= max(xs):
            place = across(x) / 10
            anchor = "start" if place < 5 else "end" if place > 95 else "middle"
            parts.append(f'<text x="{place}%" y="{HEIGHT + 18}" text-anchor="{anchor}">{short(x)}</text>')
    parts.append(f'<text class="axis" x="100%" y="{HEIGHT + 36}" text-anchor="end">{html.escape(x_label)}</text>')
    parts.append(f'<text class="axis" x="-8" y="-12">{html.escape(y_label)}</text>')
    for number, level in enumerate(levels):
        y = down(level.y)
        parts.append(f'<line class="level s{len(series) + number}" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
    parts.append(f'<svg viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none" width="100%" height="{HEIGHT}">')
    for number, one in enumerate(series):
        points = " ".join(f"{across(x)},{down(y)}" for x, y in thinned(one.points))
        parts.append(f'<polyline class="s{number}" points="{points}" vector-effect="non-scaling-stroke"/>')
    parts.append("</svg>")
    for number, one in enumerate(series):
        if len(one.points) <= MARKED:
            parts += [
                f'<circle class="s{number}" cx="{across(x) / 10}%" cy="{down(y)}" r="3.5"/>' for x, y in one.points
            ]
    return "".join([*parts, "</svg>"])


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
