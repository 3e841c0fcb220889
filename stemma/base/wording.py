"""Formats figures for people: counts, sizes, times, digests. Programs do not read them back, except sizes that a user
types (`bytes_in`)."""

import json
import re

from stemma.base.errors import StemmaError

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def short(value: object) -> str:
    """Format a figure: thousands separated, four significant digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def size_text(size: float) -> str:
    """Format a number of bytes in decimal units, B to TB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def scaled(value: float) -> str:
    """Format a large number by a decimal prefix, to which a unit can be joined: 488 G for 488,250,499,992."""
    for prefix in ("", "k", "M", "G", "T", "P", "E"):
        if abs(value) < 1000 or prefix == "E":
            return f"{value:,.4g} {prefix}"
        value /= 1000
    raise AssertionError("E ends the loop")


def bytes_in(text: str) -> int:
    """Parse a size as `size_text` writes it: `20GB`, `1.5 TB`, `500000`. Raises StemmaError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)B?\s*", text)
    if not found:
        raise StemmaError(f"--budget {text!r} is no size; write it like 20GB (B, kB, MB, GB or TB)")
    return int(float(found[1]) * UNITS[found[2]])


def clock(seconds: float) -> str:
    """Format seconds as a clock shows them: 0:07, 12:31, 3:04:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def duration(value: float) -> str:
    """Format seconds as a duration: 0.3 s, 12 s, 3 min 5 s, 2 h 7 min."""
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def plural(count: int, name: str) -> str:
    """Format a count with its noun: 1 job, 2 jobs."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def in_brief(value: object) -> str:
    """Format a value in at most 60 characters, a digest in 12."""
    text = "none" if value is None else json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    if len(text) == 64 and all(c in "0123456789abcdef" for c in text):
        return text[:12]
    return text if len(text) <= 60 else f"{text[:57]}..."
