"""What lies beside a store's objects to be used again, and taking it out when nobody does: what jobs that did not end
left for their next attempt (stemma/execute/sandbox.py), and compiled code (stemma/code/compiled_kernels.py).

A directory counts as touched when anything directly in it was: recovery points come and go there while a job runs.
"""

import re
import shutil
import time
from pathlib import Path

DAY = 86400
NAME = re.compile(r"\.?([0-9a-f]{64}|\w+-[0-9a-f]{16})")  # of an action's scratch; of a module's compiled code


def abandoned(parent: Path, days: float) -> list[Path]:
    """Directories in this one that nothing has touched for so many days."""
    limit = time.time() - days * DAY
    folders = (folder for folder in sorted(parent.glob("*")) if is_own(folder))
    return [folder for folder in folders if touched(folder) < limit]


def is_own(folder: Path) -> bool:
    """Is it a directory that is named like a job's or like one of code, or as one that is being removed? Others are
    somebody else's."""
    return bool(NAME.fullmatch(folder.name)) and folder.is_dir() and not folder.is_symlink()


def touched(folder: Path) -> float:
    """When something in it was last written; now, where it is being removed at this moment."""
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return time.time()


def remove(folders: list[Path]) -> None:
    """Remove them. Set aside first, so that a job that begins now finds its directory whole or not at all."""
    for folder in folders:
        aside = folder.with_name(f".{folder.name.lstrip('.')}")
        if not aside.exists():
            folder.rename(aside)
        shutil.rmtree(aside)
