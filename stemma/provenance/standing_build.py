"""Which artifacts in results/ are those of the build that stands there: one rule for all who read it.

The build is what was asked for: all that the last complete run wanted (one that asked for all of the default target),
and over it, path by path, what partial runs have wanted since. An artifact belongs to it if its path is in it and it
stands there under the very expected key that was wanted. What another config left, or an older state of the code, does
not: the report, the account, the crate and `verify` pass it over and say so. Kept in results/.records/build.json.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stemma.base import digest
from stemma.base.typed_json import made
from stemma.store import artifact
from stemma.store.artifact import POINTERS, Pointer

BUILD = POINTERS / "build.json"
NAMED = 3  # of the artifacts that are passed over, in one line


@dataclass(frozen=True)
class Build:
    """`wanted`: the expected key under which each path is to stand; `asked`: the paths that the last run wanted, and
    whether it was `complete`. `settled`: what is not of it has left results/."""

    wanted: dict[str, str]
    asked: list[str]
    complete: bool
    settled: bool

    def has(self, path: Path, pointer: Pointer) -> bool:
        """Does what the pointer says of a path belong to it?"""
        return self.wanted.get(str(path)) == pointer.expected


def here() -> Build | None:
    """The build of this directory; None where no run has said what it wants."""
    return made(Build, digest.read_json(BUILD))


def keep(asked: dict[str, str], complete: bool) -> None:
    """Say what a run wants: the expected key of each output. Not complete: the rest of the build stays as it was."""
    before = here()
    wanted = asked if complete or before is None else before.wanted | asked
    found = Build(wanted, sorted(asked), complete, settled=True)
    if before != found:
        write(replace(found, settled=False))


def settle() -> None:
    """Say that what is not of the build has left."""
    write(replace(here(), settled=True))


def write(found: Build) -> None:
    """Put it down."""
    digest.write_atomically(BUILD, digest.canonical(asdict(found)))


def standing() -> Iterator[tuple[Path, Pointer]]:
    """Every path in results/ that has a pointer and a file, sorted."""
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
        """A line that names the others, None where there are none."""
        names = sorted(str(artifact.argument(path)) for path, _ in self.others)
        if not names:
            return None
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"{', '.join(names[:NAMED])}{more}: not of this build, another config or an older state left it"


def divided() -> Standing:
    """What stands in results/, by whether it belongs to the build; where no run has said what it wants, all does."""
    build = here()
    found = Standing([], [])
    for path, pointer in standing():
        (found.own if build is None or build.has(path, pointer) else found.others).append((path, pointer))
    return found
