"""Turns a poster's specs into figures: chooses artifacts by target, reads values by path, gathers and formats them.

A value's path begins with its place: `metrics.`, `params.` and `usage.` are in the record, `json.` is the artifact
itself if it is a JSON file, `size` and `target` are its own. `*` stands for every key. A value that no record has makes
no figure. Names and meanings of metrics are known to the poster's description alone.
"""

import math
import re
from collections.abc import Callable
from typing import Any, TypeGuard

from stemma.base.digest import from_json
from stemma.base.errors import StemmaError
from stemma.base.wording import duration, scaled, short, size_text
from stemma.provenance.catalogue import Artifact

COUNTS = 4  # of a mapping from names to numbers, the largest that are named
JSON_LIMIT = 8_000_000  # bytes of the largest artifact that is read for one of its values
GATHERED: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "max": max,
    "min": min,
    "mean": lambda numbers: math.fsum(numbers) / len(numbers),
}


def chosen(artifacts: list[Artifact], spec: dict) -> list[Artifact]:
    """Return the artifacts whose target matches a pattern of `of` (`*` stays in one folder) and which `where` and
    `unless` admit.

    They are sorted by name, numbers by value: step-500 comes before step-1000.
    """
    patterns = [re.compile(re.escape(text).replace(r"\*", "[^/]*")) for text in listed(spec["of"])]
    found = [item for item in artifacts if any(pattern.fullmatch(item.target) for pattern in patterns)]
    for path, wanted in spec.get("where", {}).items():
        found = [item for item in found if any(value in listed(wanted) for value in at(item, path))]
    for path, unwanted in spec.get("unless", {}).items():
        found = [item for item in found if not any(value in listed(unwanted) for value in at(item, path))]
    return sorted(found, key=lambda item: natural(item.target))


def natural(text: str) -> list:
    """Return a sort key that compares numbers by value: step-500 < step-1000."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def listed(value: object) -> list:
    """Return a list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def at(item: Artifact, path: str) -> list:
    """Return all values of an artifact at a path; missing ones are left out."""
    root, *keys = path.split(".")
    values = [root_of(item, root)]
    for key in keys:
        values = [inner for value in values if isinstance(value, dict | list) for inner in step(value, key)]
    return [value for value in values if value is not None]


def step(value: dict | list, key: str) -> list:
    """Return the values one step down: of a key, or of every key. Of a list `*` gives every entry."""
    if isinstance(value, list):
        return value if key == "*" else []
    return list(value.values()) if key == "*" else [value[key]] if key in value else []


def root_of(item: Artifact, root: str) -> object:
    """Return the value that a path begins with. Raises StemmaError for an unknown beginning."""
    if root in ("metrics", "params", "usage", "size", "target"):
        return getattr(item, root)
    if root == "json":
        return content(item)
    raise StemmaError(f"poster: a value's path begins with metrics, params, usage, json, size or target, not {root!r}")


def content(item: Artifact) -> object:
    """Parse a JSON artifact; None for anything else, and if it is large or malformed."""
    if item.path.suffix != ".json" or item.is_directory or item.size > JSON_LIMIT:
        return None
    try:
        return from_json(item.path.read_bytes())
    except ValueError:
        return None


def gathered(items: list[Artifact], path: str, how: str) -> object:
    """Return one value over several artifacts; None where there is none.

    `how`: `last`; `count`: number of artifacts; `distinct`: number of values; `list`: the values; or a key of GATHERED.
    """
    if how == "count":
        return len(items) or None
    values = [value for item in items for value in at(item, path)]
    if not values:
        return None
    if how == "last":
        return values[-1]
    if how == "distinct":
        return len({short(value) for value in values})
    if how == "list":
        return ", ".join(sorted({short(value) for value in values}, key=natural))
    numbers = [value for value in values if is_number(value)]
    if how not in GATHERED:
        raise StemmaError(
            f"poster: {how!r} is no way to gather values; use last, count, distinct, list, {', '.join(GATHERED)}"
        )
    total = GATHERED[how](numbers) if numbers else None
    return int(total) if total is not None and all(isinstance(n, int) for n in numbers) and how != "mean" else total


def figure(artifacts: list[Artifact], spec: dict) -> tuple[str, str] | None:
    """Return (label, text) of one figure: `value` gathered by `how`, divided by `over` if given, shown `as` its
    kind."""
    items = chosen(artifacts, spec)
    how = spec.get("how", "last")
    value = gathered(items, spec.get("value", "size"), how)
    if value is not None and "over" in spec:
        whole = gathered(items, spec["over"], how)
        value = value / whole if is_number(value) and is_number(whole) and whole else None
    if value is None:
        return None
    kind = spec.get("as", "number")
    unit = ("" if kind == "scaled" else "\N{NO-BREAK SPACE}") + spec["unit"] if "unit" in spec else ""
    return spec["label"], with_error(items, spec, shown(value, kind)) + unit


def with_error(items: list[Artifact], spec: dict, text: str) -> str:
    """Return a value's text with its standard error behind it, where the spec has a path for one (`error`)."""
    error = gathered(items, spec["error"], "last") if "error" in spec else None
    if not is_number(error):
        return text
    kind = spec.get("as", "number")
    return f"{text} ± {f'{error:.2g}' if kind == 'number' else shown(error, kind)}"


def figures(artifacts: list[Artifact], specs: list[dict], default: dict | None = None) -> list[tuple[str, str]]:
    """Return those figures of a list that records have; `default` chooses the artifacts where a figure does not."""
    found = [figure(artifacts, spec if "of" in spec else {**(default or {}), **spec}) for spec in specs]
    return [item for item in found if item]


def notes(artifacts: list[Artifact], specs: list[dict]) -> list[str]:
    """Return the sentences that hold: those of which `value` is not below `beside`. Without both there is none."""
    found = []
    for spec in specs:
        pair: list[Any] = [gathered(chosen(artifacts, one), one["value"], "last") for one in (spec, spec["beside"])]
        if all(map(is_number, pair)) and pair[0] >= pair[1]:
            found.append(spec["text"].format(*map(short, pair)))
    return found


def shown(value: object, kind: str) -> str:
    """Format a value for people, by its kind: number, bytes, percent, seconds, shape, scaled, counts, ranked,
    digest."""
    if kind == "ranked" and isinstance(value, dict):
        return ", ".join(f"{name} {number:.2f}" for name, number in sorted(value.items(), key=lambda e: (-e[1], e[0])))
    if kind == "digest" and isinstance(value, str):
        return value[:12]
    if kind == "counts" and isinstance(value, dict):
        ranked = sorted(value.items(), key=lambda entry: (-entry[1], entry[0]))
        said = [f"{name.replace('_', ' ')} {short(count)}" for name, count in ranked[:COUNTS]]
        rest = sum(count for _, count in ranked[COUNTS:])
        return ", ".join([*said, *[f"others {short(rest)}"] * bool(rest)]) or "none"
    if not is_number(value):
        return (" × " if kind == "shape" else ", ").join(map(short, value)) if isinstance(value, list) else short(value)
    if kind == "bytes":
        return size_text(value)
    if kind == "percent":
        return f"{100 * value:.1f} %"
    if kind == "seconds":
        return duration(value)
    if kind == "scaled":
        return scaled(value)
    return short(value)


def is_number(value: object) -> TypeGuard[float]:
    """Is it a finite number, and not a bool?"""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def rows(value: object, prefix: str = "", limit: int = 80) -> list[tuple[str, str]]:
    """Flatten nested values: {"a": {"b": 1}} -> ("a.b", "1"); at most `limit` rows, then how many more there are."""
    found = list(flat(value, prefix))
    more = [("…", f"{len(found) - limit:,} more, in the record")] if len(found) > limit else []
    return found[:limit] + more


def flat(value: object, prefix: str):
    """Yield all rows of `rows`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list):
        yield prefix, ", ".join(map(short, value))
    else:
        yield prefix, short(value)
