"""Formats numbers for a reader: few digits and a unit."""

PREFIXES = ((1e24, "Y"), (1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
WORDS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))


def shown(value: float | int | str, unit: str) -> str:
    """Return `value` with its unit: 174.6 B, 2.15 GB, 3.14e23 FLOPs, 46.2%, 33.9 days. Text is returned unchanged."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "share":
        return f"{100 * value:.3g}%" if abs(value) < 1 else f"{100 * value:.0f}%"
    if unit == "bytes":
        return scaled(value, PREFIXES, "B")
    if unit == "exact bytes":
        return f"{scaled(value, PREFIXES, 'B')} ({value:,})"
    if unit in ("parameters", "tokens"):
        return exact(value) if value < 1e6 else f"{scaled(value, WORDS, '')}"
    if unit == "FLOPs":
        return f"{value:.4g}"
    if unit == "USD":
        return f"{value:,.0f} USD" if value >= 100 else f"{value:,.2f} USD"
    if unit == "seconds":
        return duration(value)
    plain = exact(value)
    return plain if unit in ("", "count", "number") else f"{plain} {unit}"


def exact(value: float | int) -> str:
    """Return a number with thousands separated; whole numbers stay whole, others get four digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def scaled(value: float, prefixes: tuple, suffix: str) -> str:
    """Return the number with four digits and the largest prefix that leaves at least one before the point."""
    for size, prefix in prefixes:
        if abs(value) >= size:
            return f"{value / size:.4g} {prefix}{suffix}"
    return f"{value:,.4g} {suffix}".strip()


def duration(seconds: float) -> str:
    """Return seconds in the unit that suits them: 12.3 s, 4.5 min, 6.7 h, 8.9 days."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"
