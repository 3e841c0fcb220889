"""Reads what the config says of sources.

It knows where a source comes from, what its documents' urls begin with, into which parts it is cut, and what the
reference models learn from. It opens no file and fetches nothing.
"""

import urllib.parse
from pathlib import PurePath

from llm.errors import InputError

KINDS = ("path", "url", "apt", "pypi")


def check_names(corpus: list[str], evaluations: list[str], sources: dict) -> None:
    """Raise InputError unless what the corpus and the evaluation sets name is defined, and none is both."""
    for key, names in {"corpus": corpus, "process.decontaminate.evaluations": evaluations}.items():
        if missing := set(names) - set(sources):
            raise InputError(f"config: {key}: {min(missing)} is not defined under sources; define it or take it out")
    if both := set(corpus) & set(evaluations):
        raise InputError(
            f"config: corpus: {min(both)} is an evaluation set (process.decontaminate); take it out of one"
        )


def in_parts(names: list[str], sources: dict) -> list[str]:
    """Return the names that the jobs of these sources bear: a source's own, or those of its parts, `wiki-1of8` to
    `wiki-8of8`, padded so that they sort."""
    return [part for name in names for part in part_names(name, sources[name].get("parts", 1))]


def part_names(name: str, parts: int) -> list[str]:
    width = len(str(parts))
    return [f"{name}-{number:0{width}}of{parts}" for number in range(1, parts + 1)] if parts > 1 else [name]


def parted(sources: dict) -> dict:
    """Return what is said of each source, by the names that its jobs bear, with `whole`, the source's own name, and
    `part`, counted from 0. Raises InputError if a part has the name of another source, or an address holds a password:
    Snakemake writes down what a rule is given."""
    result: dict[str, dict] = {}
    for name, source in sources.items():
        check_url(f"sources.{name}", source.get("url", ""))
        for part, label in enumerate(in_parts([name], sources)):
            if label in result or label != name and label in sources:
                raise InputError(f"config: sources.{label} has the name of a part of {name}; rename one of the two")
            result[label] = {"parts": 1} | source | {"whole": name, "part": part}
    return result


def check_url(block: str, url: str) -> None:
    """Raise InputError where the URL that a block of the config says is none, or holds a password."""
    try:
        host = urllib.parse.urlsplit(url).netloc
    except ValueError:  # what it says may hold a password
        raise InputError(f"config: {block}.url is no URL (look at what is between // and /); correct it") from None
    if "@" in host:
        raise InputError(
            f"config: {block}.url names a user or a password, which would stand in logs; take them out and "
            f"write `machine {host.rpartition('@')[2]} login ... password ...` into ~/.netrc"
        )


def kind_of(name: str, source: dict) -> str:
    """Return which of path, url, apt, pypi the source says. Raises InputError unless it says exactly one."""
    said = [kind for kind in KINDS if source.get(kind)]
    if len(said) != 1:
        raise InputError(
            f"config: sources.{name} says {' and '.join(said) or 'no place'}; give exactly one of {', '.join(KINDS)}"
        )
    return said[0]


def pin_of(name: str, source: dict) -> str:
    """Return the URL, package=version, package==version or path itself."""
    return source[kind_of(name, source)]


def origin_of(name: str, source: dict) -> str:
    """Return what every document's url begins with. It never names a place on this machine or credentials."""
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
    """Return the name of the archive's file: as pinned, or the last part of a path or URL."""
    pin = pin_of(name, source)
    place = urllib.parse.urlsplit(pin).path if kind_of(name, source) == "url" else pin
    return source.get("file") or (PurePath(place).name if kind_of(name, source) in ("path", "url") else "")


def reference_sources(reference: dict, corpus: list[str], sources: dict) -> dict:
    """Return what the reference models learn from (process.reference): {"curated", "raw": names of sources or their
    parts; "archive": [the file with labelled examples] or []; "labels": how to read it}. Of curated and raw only those
    in the corpus count, so that a corpus of one's own needs none of the default's. Raises InputError for an unknown
    name, or one that is both curated and raw."""
    curated, raw, toxicity = reference["curated"], reference["raw"], reference["toxicity"]
    named = {"curated": curated, "raw": raw or [], "toxicity.source": [toxicity["source"]] if toxicity else []}
    for key, names in named.items():
        if unknown := sorted(set(names) - set(sources)):
            raise InputError(f"config: process.reference.{key}: {unknown[0]} is not defined under sources")
    if both := sorted(set(curated) & set(raw or [])):
        raise InputError(f"config: process.reference: {both[0]} cannot be both curated and raw")
    result = {
        "curated": in_parts([name for name in corpus if name in curated], sources),
        "raw": in_parts(
            [name for name in corpus if name in (set(corpus) - set(curated) if raw is None else raw)], sources
        ),
        "archive": [],
        "labels": {"source": "", "file": "", "include": [], "text": "", "label": ""},
    }
    if toxicity:
        name = toxicity["source"]
        source = sources[name]
        result["archive"] = archives_of([name], sources, "process.reference.toxicity.source")
        result["labels"] = toxicity | {"file": file_of(name, source), "include": source.get("include", [])}
    return result


def archives_of(names: list[str], sources: dict, key: str) -> list[str]:
    """Return where the archives of sources lie: their own paths, else what `fetch` brings. Raises InputError for an
    unknown name; key: the config's that has it."""
    if unknown := sorted(set(names) - set(sources)):
        raise InputError(f"config: {key}: {unknown[0]} is not defined under sources")
    return [sources[name].get("path") or f"results/fetched/{name}/archive" for name in names]
