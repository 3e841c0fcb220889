"""The config's sources: where one comes from, what its documents' urls begin with, what the reference models learn from.
Reads and fetches nothing."""

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


def reference_sources(reference: dict, corpus: list[str], sources: dict) -> dict[str, tuple[list[str], list[str]]]:
    """For quality and toxicity the sources of the positive and of the negative documents (process.reference).

    For quality only sources of the corpus count, so that a corpus of one's own needs none of the default's. An unknown
    name, or one on both sides: InputError.
    """
    toxicity = reference["toxicity"] or {"toxic": [], "harmless": []}
    curated, raw = reference["curated"], reference["raw"]
    for key, names in (("curated", curated), ("raw", raw or []), *(("toxicity." + k, v) for k, v in toxicity.items())):
        if unknown := sorted(set(names) - set(sources)):
            raise InputError(f"config: process.reference.{key}: {unknown[0]} is not defined under sources")
    for both in (set(curated) & set(raw or []), set(toxicity["toxic"]) & set(toxicity["harmless"])):
        if both:
            raise InputError(f"config: process.reference: {min(both)} cannot be an example of both classes")
    others = [name for name in corpus if name not in curated] if raw is None else [n for n in corpus if n in raw]
    return {
        "quality": ([name for name in corpus if name in curated], others),
        "toxicity": (toxicity["toxic"], toxicity["harmless"]),
    }
