"""What stands in results/ of the present build, with its records: the common ground of summary, report and crate.

Reads pointers and records only; never opens an artifact's content, except its size and what a page shows inline.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stemma.base.digest import read_json
from stemma.base.errors import StemmaError
from stemma.provenance import standing_build
from stemma.provenance.record import external, inputs_of, metrics_of, usage_of
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.artifact import Pointer


@dataclass(frozen=True)
class Artifact:
    """One artifact that the current config has built."""

    path: Path
    pointer: Pointer
    record: dict

    @property
    def target(self) -> str:
        """Its name for people: the directory of a manifest, else the file."""
        return str(artifact.argument(self.path))

    @property
    def rule(self) -> str:
        """The rule that made it."""
        return external(self.record)["rule"]

    @property
    def stage(self) -> str:
        """The stage: the folder of its script."""
        return Path(external(self.record)["script"]).parent.name

    @property
    def params(self) -> dict:
        """The parameters it was made with."""
        return external(self.record)["params"]

    @property
    def metrics(self) -> dict:
        """What its script returned."""
        return metrics_of(self.record)

    @property
    def usage(self) -> dict:
        """Seconds, CPU seconds, peak memory of the job that made it."""
        return usage_of(self.record)

    @property
    def inputs(self) -> list[dict]:
        """Resolved inputs and sources."""
        return inputs_of(self.record)

    @property
    def is_directory(self) -> bool:
        """Is it a directory, listed by a manifest?"""
        return artifact.is_directory(self.path)

    @cached_property
    def files(self) -> list[dict]:
        """Its files, each with path, size, sha256: of a directory what its manifest lists (none if it is not whole)."""
        if self.is_directory:
            return (read_json(self.path) or {}).get("files", [])
        return [{"path": self.path.name, "size": self.path.stat().st_size, "sha256": self.pointer.sha256}]

    @property
    def size(self) -> int:
        """Bytes: of the file, or of all files that the manifest lists."""
        return sum(entry["size"] for entry in self.files)


def current(records: Records) -> list[Artifact]:
    """Every artifact of the build that stands in results/ and has a record, parents before children."""
    found: dict[str, Artifact] = {}
    for path, pointer in standing_build.divided().own:
        record = records.read(pointer.action)
        if record:
            found[str(path)] = Artifact(path, pointer, record)
    ordered: dict[str, Artifact] = {}
    for path in found:
        place(path, found, ordered)
    return list(ordered.values())


def artifact_at(path: Path, records: Records) -> Artifact:
    """The artifact at a path, the directory of a manifest will do. Raises StemmaError where nothing was built."""
    for candidate in (path, path / artifact.MANIFEST):
        pointer = artifact.read_pointer(candidate)
        record = records.read(pointer.action) if pointer else None
        if record:
            return Artifact(candidate, pointer, record)
    raise StemmaError(f"{path} has no record here; build it first: snakemake {path}")


def place(path: str, found: dict[str, Artifact], ordered: dict[str, Artifact]) -> None:
    """Append an artifact after all that it was made from."""
    waiting = [path]
    while waiting:
        name = waiting[-1]
        parents = [item["name"] for item in found[name].inputs if item["name"] in found]
        missing = [parent for parent in parents if parent not in ordered and parent not in waiting]
        if missing:
            waiting += missing
            continue
        ordered.setdefault(waiting.pop(), found[name])
