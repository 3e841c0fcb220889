"""Remove from results/ what the engine put there; the store keeps it, and what is not the engine's stays.

    stemma clean

Logs and benchmarks, which the store does not keep, stay too, and so do the stores, results/.aside/ and what the engine
remembers of sources and code.
"""

import argparse
import contextlib
from pathlib import Path

from stemma.base.errors import StemmaError, printable
from stemma.base.settings import Settings
from stemma.store.artifact import MARK, POINTERS, mark_path, pointer_path, read_mark, read_pointer
from stemma.store.local import Store
from stemma.store.open_beneath import RESULTS
from stemma.store.placement import remove

NAMED = 10


def options(parser: argparse.ArgumentParser) -> None:
    """Add no options: the command takes none."""


def handle(parsed: argparse.Namespace) -> None:
    """Remove whatever was built in this directory, under whatever config, and name what is left."""
    store = Store.of(Settings.here())
    left: list[str] = []
    known = declared()
    for path in known:
        try:
            left += remove(store, path)
        except StemmaError as error:
            left.append(f"{path} ({error})")
    for path in known:
        for said in (pointer_path(path), mark_path(path)):
            said.unlink(missing_ok=True)
    for path in known:
        prune(path.parent, Path(RESULTS))
        prune(pointer_path(path).parent, POINTERS)
    print(f"{len(known):,} artifacts and views are out of results/; snakemake brings them back from the store")
    if left:
        more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
        print(printable(f"not the engine's, or changed since, and so left: {', '.join(sorted(left)[:NAMED])}{more}"))


def declared() -> list[Path]:
    """Return every path that has a pointer or a mark, sorted."""
    said = (file for kind in (".json", MARK) for file in POINTERS.rglob(f"*{kind}"))
    paths = {Path(RESULTS) / file.relative_to(POINTERS).with_suffix("") for file in said}
    return sorted(path for path in paths if read_pointer(path) or read_mark(path))


def prune(folder: Path, end: Path) -> None:
    """Remove a directory and its parents below `end`, as long as they are empty."""
    with contextlib.suppress(OSError):
        while folder != end:
            folder.rmdir()
            folder = folder.parent
