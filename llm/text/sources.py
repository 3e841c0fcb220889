"""The config's sources: where one comes from, what its documents' urls begin with, and what the reference models learn
from. Reads and fetches nothing."""

import urllib.parse
from pathlib import PurePath

from llm.errors import InputError

KINDS = ("path", "url", "apt", "pypi")


def check_names(corpus: list[str], evaluations: list[str], sources: dict) -> None:
    """InputError unless what the corpus and the evaluation sets name is defined, and none is both."""
    for key, names in {"corpus": corpus, "process.decontaminate.evaluations": evaluations}.items():
        if missing := set(names) - set(sources):
            raise InputError(f"config: {key}: {min(missing)} is not defined under sources; define it or take it out")
    if both := set(corpus) & set(evaluations):
        raise InputError(
            f"config: corpus: {min(both)} is an evaluation set (process.decontaminate); take it out of one"
        )


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


def reference_sources(reference: dict, corpus: list[str], sources: dict) -> dict:
    """What the reference models learn from (process.reference): {"curated", "raw": names of sources; "archive": [the
    file with labelled examples] or []; "labels": how to read it}.

    Of curated and raw only those in the corpus count, so that a corpus of one's own needs none of the default's. An
    unknown name, or one that is both curated and raw: InputError.
    """
    curated, raw, toxicity = reference["curated"], reference["raw"], reference["toxicity"]
    named = {"curated": curated, "raw": raw or [], "toxicity.source": [toxicity["source"]] if toxicity else []}
    for key, names in named.items():
        if unknown := sorted(set(names) - set(sources)):
            raise InputError(f"config: process.reference.{key}: {unknown[0]} is not defined under sources")
    if both := sorted(set(curated) & set(raw or [])):
        raise InputError(f"config: process.reference: {both[0]} cannot be both curated and raw")
    result = {
        "curated": [name for name in corpus if name in curated],
        "raw": [name for name in corpus if name in (set(corpus) - set(curated) if raw is None else raw)],
        "archive": [],
        "labels": {"source": "", "file": "", "include": [], "text": "", "label": ""},
    }
    if toxicity:
        name = toxicity["source"]
        source = sources[name]
        result["archive"] = [source.get("path") or f"results/fetched/{name}/archive"]
        result["labels"] = toxicity | {"file": file_of(name, source), "include": source.get("include", [])}
    return result
