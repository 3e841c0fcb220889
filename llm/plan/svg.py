"""Draws plots as inline SVG: stacked bars and curves. Colours are the page's CSS variables, so they follow its
theme."""

import math
from html import escape

from llm.plan.text import shown

WIDTH, LEFT, RIGHT, LINE = 430, 4, 4, 44
BEYOND = 3  # bars longer than so many times the limit are cut, and end in an arrow
COLOURS = 9  # --c0 ... --c8 of the page


def drawn(plot: dict) -> str:
    """Return a plot of llm/plan/figures.py as an <svg> element."""
    return bars(plot) if plot["kind"] == "bars" else curves(plot)


def frame(height: float, title: str, inside: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title, quote=True)}">'
        + "".join(inside)
        + "</svg>"
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def legend(names: list[str], y: float) -> tuple[list[str], float]:
    """Return the legend's swatches, laid out in rows, and the y where they end."""
    items, x = [], float(LEFT)
    for number, name in enumerate(names):
        wide = 30 + 7.6 * len(name)
        if x + wide > WIDTH - RIGHT:
            x, y = float(LEFT), y + 22
        items.append(f'<rect x="{x:.1f}" y="{y - 11:.1f}" width="12" height="12" fill="var(--c{number % COLOURS})"/>')
        items.append(text(x + 17, y, name))
        x += wide
    return items, y + 14


def bars(plot: dict) -> str:
    """Draw bars under one another: label and sum above, stacked parts below."""
    rows, unit, limit = plot["rows"], plot["unit"], plot["limit"]
    parts = list(dict.fromkeys(name for _, some in rows for name, value in some.items() if value))
    largest = max(sum(some.values()) for _, some in rows)
    largest = min(max(largest, limit), BEYOND * limit) if limit else largest
    several = len(parts) > 1 and any(len(some) > 1 for _, some in rows)
    inside, y = legend(parts, 16) if several else ([], 2.0)
    top, wide = y, WIDTH - LEFT - RIGHT
    for label, some in rows:
        whole = sum(some.values())
        amount = shown(whole, unit) + (" \u2192" if whole > largest * 1.0001 else "")
        inside += [text(LEFT, y + 16, label), text(WIDTH - RIGHT, y + 16, amount, "strong", "end")]
        x = 0.0
        for name, value in some.items():
            width = min(value / largest * wide, wide - x)
            if width > 0.2:
                colour = parts.index(name) % COLOURS if several else 0
                place = f'x="{LEFT + x:.1f}" y="{y + 22:.1f}" width="{width:.1f}" height="14"'
                told = f"<title>{escape(name)}: {escape(shown(value, unit))}</title>"
                inside.append(f'<rect {place} fill="var(--c{colour})">{told}</rect>')
            x += max(width, 0.0)
        y += LINE
    if limit:
        x = LEFT + limit / largest * wide
        inside.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 20:.1f}" y2="{y + 2:.1f}" class="limit"/>')
        anchor = "start" if x < WIDTH / 2 else "end"
        inside.append(text(x, y + 16, f"a GPU has {shown(limit, unit)}", "", anchor))
        y += 20
    return frame(y + 2, plot["title"], inside)


def curves(plot: dict) -> str:
    """Draw lines over two axes, each linear or logarithmic."""
    lines, height, left, foot = plot["lines"], 290, 74, 42
    inside, top = legend(list(lines), 16) if len(lines) > 1 else ([], 14.0)
    points = [point for line in lines.values() for point in line] + [mark[1:] for mark in plot["marks"]]
    scales = [scale([point[axis] for point in points], plot["log"][axis]) for axis in (0, 1)]
    low, high = top + 8, height - foot

    def place(point: list[float]) -> tuple[float, float]:
        across, up = (scales[axis][0](point[axis]) for axis in (0, 1))
        return left + across * (WIDTH - left - RIGHT - 8), high - up * (high - low)

    for value in scales[0][1]:
        x = place([value, points[0][1]])[0]
        inside.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" class="grid"/>')
        inside.append(text(x, high + 18, shown(value, plot["units"][0]), "", "middle"))
    for value in scales[1][1]:
        y = place([points[0][0], value])[1]
        inside.append(f'<line x1="{left}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        inside.append(text(left - 6, y + 4, shown(value, plot["units"][1]), "", "end"))
    for number, line in enumerate(lines.values()):
        path = " ".join("{:.1f},{:.1f}".format(*place(point)) for point in line)
        inside.append(f'<polyline points="{path}" stroke="var(--c{number % COLOURS})" class="line"/>')
    for label, x_value, y_value in plot["marks"]:
        x, y = place([x_value, y_value])
        inside.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="mark"/>')
        inside.append(text(x, y - 10, f"{label}: {shown(x_value, plot['units'][0])}", "strong", "middle"))
    inside.append(text((left + WIDTH) / 2, height - 6, plot["x"], "", "middle"))
    return frame(height, plot["title"], inside)


def scale(values: list[float], logarithmic: bool):
    """Return a function from values onto 0..1, and at most five round values to label."""
    low, high = min(values), max(values)
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        step = max(1, math.ceil((high - low) / 4))
        ticks = [10.0**power for power in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, step)]
        return (lambda value: (math.log10(value) - low) / (high - low)), ticks
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    first = math.ceil(low / step)
    ticks = [step * count for count in range(first, math.floor(high / step) + 1)]
    return (lambda value: (value - low) / (high - low)), ticks
