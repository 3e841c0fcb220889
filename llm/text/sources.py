"""One source's entry of the config: where it comes from and what its documents' urls begin with. Reads and fetches
nothing."""

import urllib.parse
from pathlib import PurePath

from llm.errors import InputError

KINDS = ("path", "url", "apt", "pypi")


def kind_of(name: str, source: dict) -> str:
    """Which of path, url, apt, pypi the source says. InputError unless it says exactly one."""
    said = [kind for kind in KINDS if source.get(kind)]
    if len(said) != 1:
        raise InputError(
            f"config: sources.{name} says {' and '.join(said) or 'no place'}; give exactly one of {', '.join(KINDS)}"
        )
    return said[0]


def pin_of(name: str, source: dict) -> str:
    """The URL, package=version, package==version or path itself."""
    return source[kind_of(name, source)]


def origin_of(name: str, source: dict) -> str:
    """What every document's url begins with: never a place on this machine, never credentials."""
    kind = kind_of(name, source)
    if kind == "path":
        return f"path:{name}"
    if kind == "url":
        parts = urllib.parse.urlsplit(source["url"])
        if parts.scheme == "file":
            return f"url:{name}"
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return f"{kind}:{source[kind]}"


def file_of(name: str, source: dict) -> str:
    """The name of the archive's file: as pinned, or the last part of a path or URL."""
    pin = pin_of(name, source)
    place = urllib.parse.urlsplit(pin).path if kind_of(name, source) == "url" else pin
    return source.get("file") or (PurePath(place).name if kind_of(name, source) in ("path", "url") else "")
