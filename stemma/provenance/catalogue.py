"""Lists the artifacts of the present build in results/ with their records, for the summary, the report and the crate.

Only pointers, records, manifests and file sizes are read, never an artifact's content.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stemma.base.errors import StemmaError
from stemma.provenance import standing_build
from stemma.provenance.record import Record
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.artifact import Pointer
from stemma.store.manifest import Member, read_members


@dataclass(frozen=True)
class Artifact:
    """One artifact that the current config has built."""

    path: Path
    pointer: Pointer
    record: Record

    @property
    def target(self) -> str:
        """Its name for people: the directory for a manifest, else the file."""
        return str(artifact.argument(self.path))

    @property
    def rule(self) -> str:
        """The rule that made it."""
        return self.record.rule

    @property
    def stage(self) -> str:
        """The stage it belongs to: the folder of its script."""
        return Path(self.record.script).parent.name

    @property
    def params(self) -> dict:
        """The parameters it was made with."""
        return self.record.params

    @property
    def metrics(self) -> dict:
        """What its script returned."""
        return self.record.metrics

    @property
    def usage(self) -> dict:
        """The cost of the job that made it: seconds, CPU seconds, peak memory in bytes."""
        return self.record.usage

    @property
    def is_directory(self) -> bool:
        """Is it a directory, listed by a manifest?"""
        return artifact.is_directory(self.path)

    @cached_property
    def files(self) -> list[Member]:
        """Its files; those of a directory from its manifest (none if that is malformed or gone)."""
        if not self.is_directory:
            return [Member(self.path.name, self.path.stat().st_size, self.pointer.sha256)]
        try:
            return read_members(self.path)
        except (FileNotFoundError, ValueError):
            return []

    @property
    def size(self) -> int:
        """Its size in bytes: of the file, or of all files that the manifest lists."""
        return sum(file.size for file in self.files)


def current(records: Records) -> list[Artifact]:
    """Return every artifact of the present build in results/ that has a record, parents before children."""
    found: dict[str, Artifact] = {}
    for path, pointer in standing_build.divided().own:
        record = records.read(pointer.action)
        if record:
            found[str(path)] = Artifact(path, pointer, record)
    ordered: dict[str, Artifact] = {}
    for name in found:
        place(name, found, ordered)
    return list(ordered.values())


def artifact_at(path: Path, records: Records) -> Artifact:
    """Return the artifact at a path or, for a directory, at its manifest. Raises StemmaError where nothing was
    built."""
    for candidate in (path, path / artifact.MANIFEST):
        pointer = artifact.read_pointer(candidate)
        record = records.read(pointer.action) if pointer else None
        if pointer and record:
            return Artifact(candidate, pointer, record)
    raise StemmaError(f"{path} has no record here; build it first: snakemake {path}")


def place(path: str, found: dict[str, Artifact], ordered: dict[str, Artifact]) -> None:
    """Append an artifact to `ordered`, after everything that it was made from."""
    waiting = [path]
    while waiting:
        name = waiting[-1]
        parents = [item.path for item in found[name].record.inputs if item.path in found]
        missing = [parent for parent in parents if parent not in ordered and parent not in waiting]
        if missing:
            waiting += missing
            continue
        ordered.setdefault(waiting.pop(), found[name])
