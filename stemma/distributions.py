"""From the name in an import statement to the installed distribution and its version. Imports nothing it names."""

import sys
from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def version_of(module: str) -> tuple[str, str]:
    """(distribution, version) that provides a top-level module; version "absent" where none does.

    An absent one counts too: code that imports it behind a `try` behaves differently once it is installed.
    """
    try:
        return normal(module), metadata.version(module)
    except metadata.PackageNotFoundError:
        pass
    names = declared().get(module) or providers().get(module)
    if not names:
        return normal(module), "absent"
    name = sorted(names)[0]
    return normal(name), metadata.version(name)


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
