"""A job's inputs as its script sees them: every file and every directory of its own, and beside it nothing.

In results/ an artifact's directory may hold more than its manifest lists: what another config left there, what a person
put there, what belongs to another artifact. A script that lists the directory it is given must not see that. So it is
given a directory in the job's workspace with a link for each file of the manifest, below the path that the artifact is
declared at. Links and no copies: an input costs a few microseconds a file, whatever its size.
"""

import re
from pathlib import Path

from stemma.store import artifact
from stemma.store.artifact import MANIFEST

FOLDER = ".inputs"  # in the workspace, beside a folder for each output


def lay_out(inputs: dict[str, list[str]], workspace: Path) -> dict[str, list[Path]]:
    """The paths that a script is given for its job's declared inputs, which were verified."""
    folder = workspace / FOLDER
    each = [(name, Path(path)) for name, paths in inputs.items() for path in paths]
    found: dict[str, list[Path]] = {}
    for number, (name, path) in enumerate(each):
        target = folder / str(number) / path.relative_to(path.anchor)
        names = [*artifact.listed(path), MANIFEST] if artifact.is_directory(path) else [path.name]
        for inside in names:
            link(path.parent / inside, target.parent / inside)
        found.setdefault(name, []).append(artifact.argument(target))
    return found


def link(source: Path, target: Path) -> None:
    """A symbolic link: a hard one would change the time that says when a file was last touched."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.absolute())


def declared(text: str, workspace: Path) -> str:
    """What a script says of its inputs, by the paths they are declared at."""
    return re.sub(re.escape(f"{workspace / FOLDER}/") + r"\d+/", "", text)
