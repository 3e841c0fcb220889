"""From the names in import statements to installed distributions, with all that those require. Imports none of them.

A package that no first-party code names changes bytes too: justext under trafilatura, llvmlite under numba. So
requirements are followed as the installed metadata declares them, for this machine and this Python. Extras count where
a requirement asks for them.
"""

import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ABSENT = "absent"  # it counts: code that imports it behind a `try` behaves differently once it is installed


def reached(modules: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, of those that provide these top-level modules and of all that they require."""
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
    """Version and declared requirements of a distribution; "absent" and none where it is not installed."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return ABSENT, ()
    return found.version, tuple(map(Requirement, found.requires or ()))


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Is this required here, of a distribution that was asked for with these extras?"""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


@cache
def providers_of(module: str) -> tuple[str, ...]:
    """The distributions that provide a top-level module; its own name where none does."""
    try:
        return (normal(metadata.distribution(module).name),)
    except metadata.PackageNotFoundError:
        return tuple(sorted(map(normal, declared().get(module) or providers().get(module) or [module])))


@cache
def declared() -> dict[str, list[str]]:
    """Top-level module -> distributions, as far as they say so themselves in top_level.txt (cheap, not complete)."""
    found: dict[str, list[str]] = {}
    for folder in sys.path:
        for file in Path(folder).glob("*.dist-info/top_level.txt"):
            for module in file.read_text().split():
                found.setdefault(module, []).append(file.parent.name.partition("-")[0])
    return found


@cache
def providers() -> dict[str, list[str]]:
    """Top-level module -> distributions, read from every list of installed files (slow, complete)."""
    return dict(metadata.packages_distributions())


def normal(name: str) -> str:
    """The normalised distribution name (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")
