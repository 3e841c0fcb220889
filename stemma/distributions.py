"""From the name in an import statement to the installed distribution and its version. Imports nothing it names."""

from functools import cache
from importlib import metadata


@cache
def version_of(module: str) -> tuple[str, str]:
    """(distribution, version) that provides a top-level module; version "absent" where none does.

    An absent one counts too: code that imports it behind a `try` behaves differently once it is installed.
    """
    try:
        return normal(module), metadata.version(module)
    except metadata.PackageNotFoundError:
        pass
    names = providers().get(module)
    if not names:
        return normal(module), "absent"
    name = sorted(names)[0]
    return normal(name), metadata.version(name)


@cache
def providers() -> dict[str, list[str]]:
    """Top-level module -> distributions, read from the installed metadata (slow: only for names that differ)."""
    return dict(metadata.packages_distributions())


def lock() -> dict[str, str]:
    """Every installed distribution with its version: the whole environment, for the record."""
    return dict(sorted((normal(d.metadata["Name"]), d.version) for d in metadata.distributions()))


def normal(name: str) -> str:
    """The normalised distribution name (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")
