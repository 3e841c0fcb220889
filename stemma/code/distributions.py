"""Maps names in import statements to installed distributions and all that these require, without importing any.

A package that no first-party code names can change bytes too: justext under trafilatura, llvmlite under numba. So
requirements are followed as the installed metadata declares them, for this machine and this Python; extras count where
a requirement asks for them.
"""

import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ABSENT = "absent"  # recorded as well: code with an import in a `try` behaves differently once the package is installed


def reached(modules: Iterable[str]) -> dict[str, str]:
    """Return distribution -> version of those that provide these top-level modules and of all that they require."""
    waiting = [(name, frozenset[str]()) for module in modules for name in providers_of(module)]
    seen = set()
    found = {}
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name], requirements = installed(name)
        for requirement in requirements:
            if applies(requirement, extras):
                waiting.append((normal(requirement.name), frozenset(requirement.extras)))
    return dict(sorted(found.items()))


@cache
def installed(name: str) -> tuple[str, tuple[Requirement, ...]]:
    """Return the version and the declared requirements of a distribution; ABSENT and none where it is not installed."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return ABSENT, ()
    return found.version, tuple(map(Requirement, found.requires or ()))


def modules_of(names: Iterable[str]) -> set[str]:
    """The top-level modules that distributions provide, read from their lists of installed files."""
    return {module for name in names for module in provided_by(name)}


@cache
def provided_by(name: str) -> frozenset[str]:
    """The same of one; none where it is not installed. Other names are among them, which no import can ask for."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return frozenset()
    listed = found.read_text("RECORD") or found.read_text("top_level.txt") or name.replace("-", "_")
    tops = (line.partition(",")[0].partition("/")[0].partition(".")[0] for line in listed.splitlines())
    return frozenset(filter(None, tops))  # not all are identifiers: mypyc puts a digest before __mypyc


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Does a requirement apply on this machine, for a distribution that was asked for with these extras?"""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


@cache
def providers_of(module: str) -> tuple[str, ...]:
    """Return the distributions that provide a top-level module; the module's own name where none does."""
    try:
        return (normal(metadata.distribution(module).name),)
    except metadata.PackageNotFoundError:
        return tuple(sorted(map(normal, declared().get(module) or providers().get(module) or [module])))


@cache
def declared() -> dict[str, list[str]]:
    """Return top-level module -> distributions from their top_level.txt (fast, but not all have one)."""
    found: dict[str, list[str]] = {}
    for folder in sys.path:
        for file in Path(folder).glob("*.dist-info/top_level.txt"):
            for module in file.read_text().split():
                found.setdefault(module, []).append(file.parent.name.partition("-")[0])
    return found


@cache
def providers() -> dict[str, list[str]]:
    """Return top-level module -> distributions from every list of installed files (slow, complete)."""
    return dict(metadata.packages_distributions())


def normal(name: str) -> str:
    """Return the normalised distribution name (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")
