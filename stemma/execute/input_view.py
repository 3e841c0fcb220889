"""Lays out a job's inputs for its script: every file of each declared artifact, and nothing else.

In results/ an artifact's directory may hold more than its manifest lists: files of another config, of the user, of
another artifact. A script that lists the directory it is given must not see those. So it is given a directory in the
job's workspace with a symbolic link for each file of the manifest, below the path where the artifact is declared. Links
instead of copies: an input costs a few microseconds a file, whatever its size.
"""

import re
from pathlib import Path

from stemma.store import artifact
from stemma.store.artifact import MANIFEST

FOLDER = ".inputs"  # in the workspace, beside a folder for each output


def lay_out(inputs: dict[str, list[str]], workspace: Path) -> dict[str, list[Path]]:
    """Link the declared inputs, which were verified, into the workspace; return argument -> paths for the script."""
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
    """Make a symbolic link: a hard one would change the file's ctime, by which an edit is noticed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.absolute())


def declared(text: str, workspace: Path) -> str:
    """Replace paths of this layout in a script's text by the paths where the inputs are declared."""
    return re.sub(re.escape(f"{workspace / FOLDER}/") + r"\d+/", "", text)
