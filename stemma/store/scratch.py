"""Finds and removes abandoned reusable data beside a store's objects: recovery points of jobs that did not finish
(stemma/execute/sandbox.py), and compiled code (stemma/code/compiled_kernels.py).

A directory's age is that of the newest entry directly in it: recovery points come and go there while a job runs.
"""

import re
import shutil
import time
from pathlib import Path

DAY = 86400
NAME = re.compile(r"\.?([0-9a-f]{64}|\w+-[0-9a-f]{16})")  # an action's scratch, or a module's compiled code


def abandoned(parent: Path, days: float) -> list[Path]:
    """Return the directories in `parent` that nothing has touched for `days`."""
    limit = time.time() - days * DAY
    folders = (folder for folder in sorted(parent.glob("*")) if is_own(folder))
    return [folder for folder in folders if touched(folder) < limit]


def is_own(folder: Path) -> bool:
    """Is it a directory named like a job's scratch, like compiled code, or like either one while it is being
    removed?"""
    return bool(NAME.fullmatch(folder.name)) and folder.is_dir() and not folder.is_symlink()


def touched(folder: Path) -> float:
    """Return when something in it was last written; now, where it is being removed at this moment."""
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return time.time()


def remove(folders: list[Path]) -> None:
    """Remove directories. Each is renamed first, so that a job that starts now finds its directory whole or not at
    all."""
    for folder in folders:
        aside = folder.with_name(f".{folder.name.lstrip('.')}")
        if not aside.exists():
            folder.rename(aside)
        shutil.rmtree(aside)
