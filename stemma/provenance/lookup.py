"""Resolves a word on the command line: to an artifact, a file inside one, a code file, a source or a digest.

An artifact is identified by its path and its bytes' digest. Only the index is consulted. The error for an unknown word
suggests a near match.
"""

import difflib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from stemma.base.errors import StemmaError
from stemma.base.settings import ROOT
from stemma.provenance.index import Index
from stemma.store.artifact import MANIFEST

DIGEST = re.compile(r"[0-9a-f]{8,64}")
COLUMNS = ("subject.sha256", "member.sha256", "input.sha256", "code_file.sha256", "record.sha256", "record.action")
COMPARED = 200  # candidates for a near match: difflib takes 0.1 ms a pair of paths


@dataclass(frozen=True, order=True)
class Key:
    """An artifact: these bytes at this path."""

    path: str
    sha256: str

    @property
    def target(self) -> str:
        """Its name for people: the directory for a manifest, else the file."""
        return self.path.removesuffix(f"/{MANIFEST}")


@dataclass
class Meaning:
    """What a word stands for: artifacts that are or contain it (`held`), artifacts whose jobs read it (`direct`)."""

    asked: str
    held: set[Key] = field(default_factory=set)
    direct: set[Key] = field(default_factory=set)


Makers = dict[Key, list[int]]  # artifact -> record numbers of the jobs that made it, the latest last


def standing(index: Index) -> Makers:
    """Return what stands in results/ now, each with the record that its pointer names."""
    return {
        Key(path, sha256): [number]
        for path, sha256, number in index.rows(
            "SELECT pointer.path, pointer.sha256, record.id FROM pointer JOIN record USING (action)"
            " WHERE record.rule NOT NULL ORDER BY pointer.path"
        )
        if os.path.exists(path)  # noqa: PTH110 (ten thousand Path objects cost 0.1 s)
    }


def recorded(index: Index) -> Makers:
    """Return everything that the store has a record of, and what stands in results/ now."""
    found: Makers = {}
    for path, sha256, number in index.rows(
        "SELECT subject.path, subject.sha256, record.id FROM subject JOIN record ON record.id = subject.record"
        " ORDER BY record.finished, record.id"
    ):
        found.setdefault(Key(path, sha256), []).append(number)
    for key, numbers in standing(index).items():
        found[key] = [number for number in found.get(key, []) if number not in numbers] + numbers
    return found


def artifact_named(index: Index, makers: Makers, word: str) -> Key:
    """Return the artifact that a path, a directory, a file inside one or a digest stands for. Raises StemmaError."""
    meaning = held_by_path(index, makers, word) or held_by_digest(index, makers, word)
    if meaning is None or not meaning.held:
        meaning = None if meaning is None else held_by_digest(index, recorded(index), word)
    if meaning is None or not meaning.held:
        if direct_by_path(index, makers, word):
            raise StemmaError(f"{word} has no ancestors: it is not built; `used-by {word}` says what descends from it")
        raise unknown(index, makers, word)
    now = standing(index)
    ages = {number: age for age, (number,) in enumerate(index.rows("SELECT id FROM record ORDER BY finished, id"))}
    every = makers if meaning.held <= makers.keys() else recorded(index)
    # One digest may stand at several paths: what stands now is preferred, then the newest.
    return max(sorted(meaning.held, reverse=True), key=lambda key: (key in now, ages[every[key][-1]]))


def meaning_of(index: Index, makers: Makers, word: str) -> Meaning:
    """Resolve a word, in this order, as a path, a code file or source, a digest, a wildcard's value. Raises
    StemmaError."""
    found = (
        held_by_path(index, makers, word)
        or direct_by_path(index, makers, word)
        or held_by_digest(index, makers, word)
        or direct_by_wildcard(index, makers, word)
    )
    if found is None or not (found.held or found.direct):
        raise unknown(index, makers, word)
    return found


def held_by_path(index: Index, makers: Makers, word: str) -> Meaning | None:
    """Resolve a word as an artifact's path, its directory, or a file in it."""
    path = relative(word, Path.cwd())
    names = {path, f"{path}/{MANIFEST}"}
    if held := {key for key in makers if key.path in names}:
        return Meaning(path, held)
    for folder in Path(path).parents:
        inside = str(Path(path).relative_to(folder))
        manifest = str(folder / MANIFEST)
        held = {key for key in makers if key.path == manifest and inside in members(index, key.sha256)}
        if held:
            return Meaning(path, held)
    return None


def members(index: Index, manifest: str) -> dict[str, str]:
    """Return relative name -> SHA-256 of the files that a manifest lists."""
    return dict(index.rows("SELECT path, sha256 FROM member WHERE manifest = ?", manifest))


def direct_by_path(index: Index, makers: Makers, word: str) -> Meaning | None:
    """Resolve a word as a code file of this repository, a source, or a file in a source's directory."""
    # A record names a source outside the run's directory by its last component.
    outside = [Path(word).name] if Path(word).exists() else []
    for path in dict.fromkeys((relative(word, Path.cwd()), relative(word, ROOT), *outside)):
        numbers = index.rows(
            "SELECT record.id FROM record JOIN code_file ON code_file.code = record.code WHERE code_file.path = ?", path
        )
        folders = [path, *(str(folder) for folder in Path(path).parents)]
        numbers += index.rows(
            "SELECT record FROM input WHERE kind = 'source' AND path IN (SELECT value FROM json_each(?))",
            json.dumps(folders),
        )
        if direct := made_by(makers, numbers):
            return Meaning(path, direct=direct)
    return None


def held_by_digest(index: Index, makers: Makers, word: str) -> Meaning | None:
    """Resolve a word as a SHA-256, or its prefix, of an artifact, a file in one, an input, code, a record or an action.

    Raises StemmaError where several digests begin like this.
    """
    if not DIGEST.fullmatch(word):
        return None
    found = set()
    for column in COLUMNS:
        table = column.split(".")[0]
        query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} >= ? AND {column} < ? LIMIT 3"
        found |= {sha256 for (sha256,) in index.rows(query, word, f"{word}g")}
    if len(found) > 1:
        begin = ", ".join(sorted(sha256[: len(word) + 4] for sha256 in found)[:3])
        raise StemmaError(f"{word} is the beginning of several digests ({begin}); give more of it")
    if not found:
        return None
    sha256 = found.pop()
    manifests = {name for (name,) in index.rows("SELECT manifest FROM member WHERE sha256 = ?", sha256)}
    held = {key for key in makers if key.sha256 == sha256 or key.sha256 in manifests}
    held |= made_by(makers, index.rows("SELECT id FROM record WHERE sha256 = ?1 OR action = ?1", sha256))
    readers = index.rows("SELECT record FROM input WHERE sha256 = ?", sha256) + index.rows(
        "SELECT record.id FROM record JOIN code_file ON code_file.code = record.code WHERE code_file.sha256 = ?", sha256
    )
    return Meaning(sha256, held, made_by(makers, readers))


def direct_by_wildcard(index: Index, makers: Makers, word: str) -> Meaning | None:
    """Resolve a word as a wildcard's value: a source's name, for rules with a job for each source."""
    direct = made_by(makers, index.rows("SELECT record FROM wildcard WHERE value = ?", word))
    return Meaning(word, direct=direct) if direct else None


def made_by(makers: Makers, rows: list[tuple[int]]) -> set[Key]:
    """Return the artifacts that these records' jobs made."""
    wanted = {number for (number,) in rows}
    return {key for key, numbers in makers.items() if not wanted.isdisjoint(numbers)} if wanted else set()


def relative(word: str, base: Path) -> str:
    """Return a path as records write it: normalised, and relative to `base` if it lies below."""
    path = os.path.normpath(word)
    if not Path(path).is_absolute():
        return path
    return os.path.relpath(path, base) if Path(path).is_relative_to(base) else path


def unknown(index: Index, makers: Makers, word: str) -> StemmaError:
    """Make the error for a word that could not be resolved."""
    path = relative(word, Path.cwd())
    gone = index.rows("SELECT 1 FROM subject WHERE path IN (?, ?) LIMIT 1", path, f"{path}/{MANIFEST}")
    if gone or held_by_digest(index, makers, word):
        return StemmaError(f"{word} does not stand in results/ now; `--all` looks among all records of the store")
    names = {name for key in makers for name in (key.target, key.path)}
    for query in (
        "SELECT DISTINCT path FROM code_file",
        "SELECT DISTINCT path FROM input WHERE kind = 'source'",
        "SELECT DISTINCT value FROM wildcard",
    ):
        names |= {name for (name,) in index.rows(query)}
    if not names:
        return StemmaError(f"{word}: nothing was built here; run snakemake in this directory, or ask in another one")
    near = difflib.get_close_matches(path, likely(path, names), 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else "ask for an artifact, a code file, a source or a digest"
    return StemmaError(f"{word} is in no record here; {hint}")


def likely(word: str, names: set[str]) -> list[str]:
    """Return the COMPARED names that begin and end most like the word: comparing ten thousand in full takes a
    second."""

    def shared(name: str) -> int:
        ahead = len(os.path.commonprefix((word, name)))
        return ahead + len(os.path.commonprefix((word[:ahead:-1], name[:ahead:-1])))

    return sorted(sorted(names), key=shared, reverse=True)[:COMPARED]
