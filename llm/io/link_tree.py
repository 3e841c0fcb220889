"""Makes a directory tree of other trees' files, by hard links; bytes are copied only where a link cannot be made."""

import os
import shutil
from pathlib import Path

from llm.errors import InputError

LINKS = True  # the outputs are links to the inputs


def link_trees(directories: list[Path], target: Path) -> None:
    """Link each directory as target/<its name>. Raises InputError for two of one name."""
    names = [directory.name for directory in directories]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"two directories are named {min(twice)!r}: rename one of the sources")
    for directory in directories:
        link_tree(directory, target / directory.name)


def link_tree(source: Path, target: Path) -> None:
    """Make `target` hold every regular file below `source` under the same name, in the order of names.

    The files are hard links; copies where the file system refuses one (another device, too many links, not permitted).
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_dir():
            link_tree(path, target / path.name)
        else:
            link(path, target / path.name)


def link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)
