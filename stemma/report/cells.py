"""Draws a matrix as a grid of coloured cells, as inline SVG without any script: heat maps, strips, small tiles.

A colour is one of LEVELS classes of the page's style (q1, q2, ...; m1, m2, ... below zero), so that a grid follows
light and dark. Neighbouring cells of one level are one stroke, and what is next to nothing is none, so that a matrix of
some hundred cells takes one or two kilobytes.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from stemma.report.values import is_number

LEVELS = 8
MOST = 4096  # cells of a grid; a larger matrix is thinned
LABELS = 16  # of an axis, at most
Matrix = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Scale:
    """From which value to which colours go. `signed`: from -high to high, and zero has no colour."""

    low: float
    high: float
    signed: bool = False

    def level(self, value: object) -> str:
        """Return a value's class; "" where it is drawn as nothing, `odd` where it is no finite number."""
        if not is_number(value):
            return "odd"
        if self.signed:
            number = round(min(1.0, abs(value) / (self.high or 1)) * LEVELS)
            return f"{'m' if value < 0 else 'q'}{number}" if number else ""
        share = (value - self.low) / ((self.high - self.low) or 1) if self.high > self.low else float(value != 0)
        number = round(min(1.0, max(0.0, share)) * LEVELS)
        return f"q{number}" if number else ""


def is_matrix(value: object) -> bool:
    """Is it a list of lists with at least one entry? Rows may have different lengths."""
    return isinstance(value, list) and any(value) and all(isinstance(row, list) for row in value)


def scale_of(cells: Matrix, signed: bool = False, zero: bool = False) -> Scale:
    """Return the scale on which a matrix uses every colour. zero: it begins at zero and not at the least value."""
    finite = [value for row in cells for value in row if is_number(value)]
    if signed:
        return Scale(0.0, max(map(abs, finite), default=0.0), True)
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return Scale(min(0.0, low) if zero else low, high)


def thinned(cells: Matrix) -> Matrix:
    """Return every n-th row and column of a matrix of more than MOST cells."""
    width = max(map(len, cells))
    step = math.ceil(math.sqrt(len(cells) * width / MOST))
    return [row[::step] for row in cells[::step]]


def strokes(cells: Matrix, scale: Scale) -> str:
    """Return the paths of a grid whose cells are one unit wide and high, one path a level."""
    paths: dict[str, list[str]] = {}
    for y, row in enumerate(cells):
        levels = [scale.level(value) for value in row]
        begin = 0
        for x in range(1, len(levels) + 1):
            if x == len(levels) or levels[x] != levels[begin]:
                if levels[begin]:
                    paths.setdefault(levels[begin], []).append(f"M{begin} {y}h{x - begin}")
                begin = x
    return "".join(f'<path class="{level}" d="{"".join(paths[level])}"/>' for level in sorted(paths))


def field(cells: Matrix, scale: Scale, attributes: str) -> str:
    """Return the SVG element of the cells alone, to be stretched by `attributes`."""
    box = f'viewBox="0 -.5 {max(map(len, cells))} {len(cells)}"'
    return f'<svg class="cells" {box} preserveAspectRatio="none" {attributes}>{strokes(cells, scale)}</svg>'


def tile(title: str, cells: Matrix, scale: Scale) -> str:
    """Return a small grid without axes, square by the page's style."""
    return field(thinned(cells), scale, f'role="img" aria-label="{html.escape(title)}"')


def heat(title: str, cells: Matrix, scale: Scale, rows: Sequence[str], columns: Sequence[str]) -> str:
    """Return a grid with labels at both axes: of rows beside it, of columns below. Either may be empty."""
    cells = thinned(cells)
    count, width = len(cells), max(map(len, cells))
    height = count * max(3, min(24, 320 // count))
    parts = [f'<svg class="chart" role="img" aria-label="{html.escape(title)}" width="100%" height="{height}">']
    parts.append(field(cells, scale, f'width="100%" height="{height}"'))
    for place, label in spread(rows, count):
        y = round((place + 0.5) * height / count + 4, 1)
        parts.append(f'<text x="-8" y="{y}" text-anchor="end">{html.escape(label)}</text>')
    for place, label in spread(columns, width):
        x = round((place + 0.5) * 100 / width, 2)
        parts.append(f'<text x="{x}%" y="{height + 18}" text-anchor="middle">{html.escape(label)}</text>')
    return "".join([*parts, "</svg>"])


def spread(labels: Sequence[str], count: int) -> list[tuple[int, str]]:
    """Return (place among the cells, label) of at most LABELS labels, in even steps; none of a thinned matrix."""
    if len(labels) != count:
        return []
    step = math.ceil(count / LABELS)
    return [(place, labels[place]) for place in range(0, count, step)]


def colours(signed: bool = False) -> list[str]:
    """Return the classes of a scale, the lowest first, for its legend."""
    above = [f"q{number}" for number in range(1, LEVELS + 1)]
    return [f"m{number}" for number in range(LEVELS, 0, -1)] + above if signed else above
