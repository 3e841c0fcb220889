"""Decides which artifacts in results/ belong to the present build: one definition for all who ask.

The build is what was asked for: all that the last complete run wanted (one that asked for the whole default target),
overridden path by path by what partial runs have wanted since. An artifact belongs to it if its path does and its
pointer has the wanted expected key. Artifacts of another config or of older code do not: the report, the account, the
crate and `verify` skip them and say so. The build is kept in results/.records/build.json.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stemma.base import digest
from stemma.base.typed_json import made
from stemma.store import artifact
from stemma.store.artifact import POINTERS, Pointer

BUILD = POINTERS / "build.json"
NAMED = 3  # skipped artifacts that are named in a line


@dataclass(frozen=True)
class Build:
    """`wanted`: path -> its expected key; `asked`: the paths that the last run wanted, and whether it was `complete`;
    `settled`: whether artifacts that are not of the build have been removed from results/."""

    wanted: dict[str, str]
    asked: list[str]
    complete: bool
    settled: bool

    def has(self, path: Path, pointer: Pointer) -> bool:
        """Does the artifact that a pointer describes belong to the build?"""
        return self.wanted.get(str(path)) == pointer.expected


def here() -> Build | None:
    """Return the build of this directory; None where no run has recorded one."""
    return made(Build, digest.read_json(BUILD))


def keep(asked: dict[str, str], complete: bool) -> None:
    """Record what a run wants, the expected key of each output. After a partial run the rest of the build stays."""
    before = here()
    wanted = asked if complete or before is None else before.wanted | asked
    found = Build(wanted, sorted(asked), complete, settled=True)
    if before != found:
        write(replace(found, settled=False))


def settle(build: Build) -> None:
    """Record that what does not belong to the build has been removed."""
    write(replace(build, settled=True))


def write(found: Build) -> None:
    """Write the build to its file."""
    digest.write_atomically(BUILD, digest.canonical(asdict(found)))


def standing() -> Iterator[tuple[Path, Pointer]]:
    """Yield every path in results/ that has a pointer and a file, sorted."""
    for file in sorted(POINTERS.rglob("*.json")):
        path = Path("results") / file.relative_to(POINTERS).with_suffix("")
        pointer = artifact.read_pointer(path) if path.is_file() else None
        if pointer:
            yield path, pointer


@dataclass(frozen=True)
class Standing:
    """What stands in results/: `own` belongs to the build, `others` does not."""

    own: list[tuple[Path, Pointer]]
    others: list[tuple[Path, Pointer]]

    @property
    def note(self) -> str | None:
        """A line that names the others; None where there are none."""
        names = sorted(str(artifact.argument(path)) for path, _ in self.others)
        if not names:
            return None
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"{', '.join(names[:NAMED])}{more}: not of this build, another config or an older state left it"


def divided() -> Standing:
    """Divide what stands in results/ by whether it belongs to the build; all of it does where no run has recorded
    one."""
    build = here()
    found = Standing([], [])
    for path, pointer in standing():
        (found.own if build is None or build.has(path, pointer) else found.others).append((path, pointer))
    return found
