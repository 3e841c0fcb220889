"""Caches numba's machine code between jobs: each job starts with what earlier ones compiled, and adds to it.

Numba's own shared cache directory is not safe: two jobs that compile one function for different types at the same time
leave an index that names the other's code, and a truncated file makes it fail. So each job has its own cache files, and
here lies one pack for each function: its index and all its code, preceded by their digest. A pack is written by atomic
rename, and only by a job that succeeded; a damaged pack is ignored. When two jobs extend one function's pack the last
one wins, and the other's part is compiled once more. Numba checks staleness by the function's own file, not by those of
functions it calls; so a module's packs lie in a directory that is named after that module's whole closure.
"""

import hashlib
import marshal
import os
import re
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import refusal, warn
from stemma.base.files import beside
from stemma.base.untrusted_files import is_own
from stemma.code.closure import Closure, closure_of
from stemma.code.source import Reader

FUNCTION = re.compile(r"(.+\.py\d+\w*)\.(?:nbi|\d+\.nbc)")
# These tell numba to use the __pycache__ beside the module. kernels/jit.py needs a directory to be named as well.
VARIABLES = {"NUMBA_CACHE_DIR": ".", "NUMBA_CACHE_LOCATOR_CLASSES": "InTreeCacheLocator"}


class Compiled:
    """The machine code of one closure. `kept`: module that imports numba, or lies beside one -> directory of its packs.
    `lent`: file put beside the frozen code -> its stamp."""

    def __init__(self, closure: Closure, reader: Reader, cache: Path):
        modules = [Path(name) for name in closure.modules if "numba" in reader.module(Path(name)).imports]
        folders = {module.parent for module in modules}
        self.kept: dict[Path, Path] = {}
        for module in map(Path, closure.modules):
            if module.parent in folders:
                own = closure_of(module, reader.root)
                code = digest.of_value([own.files, own.distributions])
                self.kept[module] = cache / "numba" / f"{module.stem}-{code[:16]}"
        self.lent: dict[Path, tuple[int, int]] = {}

    def lend(self, code: Path) -> None:
        """Put the cached code beside a frozen copy of the closure in `code`."""
        for module, folder in self.kept.items():
            if not folder.is_dir() or not is_own(folder):  # code that others could have written is not executed
                continue
            os.utime(folder)  # records the last use, for gc
            for pack in sorted(folder.glob("[!.]*")):
                for name, data in unpacked(pack).items():
                    file = code / module.parent / "__pycache__" / name
                    file.write_bytes(data)
                    self.lent[file] = stamp_of(file)

    def take_back(self, code: Path) -> None:
        """Cache what a successful job has compiled. If the disk is full, warn: it is compiled again next time."""
        try:
            for module, folder in self.kept.items():
                for name, files in functions_of(code / module).items():
                    if any(self.lent.get(file) != stamp_of(file) for file in files):
                        keep(folder / name, {file.name: file.read_bytes() for file in files})
        except OSError as error:
            warn(f"compiled code is not kept for the next job: {refusal(error) or error}")


def keep(place: Path, files: dict[str, bytes]) -> None:
    """Write one pack by atomic rename. It is not fsynced: a pack that is lost is compiled again."""
    data = marshal.dumps(files)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(place)
    try:
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def unpacked(pack: Path) -> dict[str, bytes]:
    """Read a pack: file name -> bytes; empty if the digest does not match."""
    content = pack.read_bytes()
    head, data = content[:32], content[32:]
    return marshal.loads(data) if hashlib.sha256(data).digest() == head else {}


def stamp_of(file: Path) -> tuple[int, int]:
    """Return what changes when numba replaces a file: inode and mtime in nanoseconds."""
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns


def functions_of(module: Path) -> dict[str, list[Path]]:
    """Return function -> its index and code files in the __pycache__ beside a module."""
    found: dict[str, list[Path]] = {}
    for file in sorted((module.parent / "__pycache__").glob(f"{module.stem}.*.nb[ic]")):
        if match := FUNCTION.fullmatch(file.name):
            found.setdefault(match[1], []).append(file)
    return found
