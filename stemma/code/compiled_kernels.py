"""Machine code that numba made, kept between jobs: each gets what earlier ones left, and what it adds is kept.

Numba itself would let jobs share a directory, but two that compile one function for different types at the same time
leave an index that names the other's code, and it fails on a file that was cut off. So a job has files of its own, and
here stands one pack for each function: its index and all its code, behind their digest. A pack comes by rename, and
only of a job that ended well; one that is damaged is none. Of two jobs that add to one function the last counts, and
the other's part is compiled once more. Numba looks at a function's own file to see whether what it has is stale, not at
those of functions that it calls: so the directory of a module's packs is named after that module's whole closure.
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
# To numba: keep it in the __pycache__ beside the module. kernels/jit.py wants to be told a directory, too.
VARIABLES = {"NUMBA_CACHE_DIR": ".", "NUMBA_CACHE_LOCATOR_CLASSES": "InTreeCacheLocator"}


class Compiled:
    """The machine code that one closure needs. `kept`: module that imports numba -> directory of its packs."""

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
        """Put what is kept beside a frozen copy of the closure."""
        for module, folder in self.kept.items():
            if not folder.is_dir() or not is_own(folder):  # what others could write here would be executed
                continue
            os.utime(folder)  # its last use, for gc
            for pack in sorted(folder.glob("[!.]*")):
                for name, data in unpacked(pack).items():
                    file = code / module.parent / "__pycache__" / name
                    file.write_bytes(data)
                    self.lent[file] = stamp_of(file)

    def take_back(self, code: Path) -> None:
        """Keep what a job that ended well has added. Where there is no room it is compiled again next time."""
        try:
            for module, folder in self.kept.items():
                for name, files in functions_of(code / module).items():
                    if any(self.lent.get(file) != stamp_of(file) for file in files):
                        keep(folder / name, {file.name: file.read_bytes() for file in files})
        except OSError as error:
            warn(f"compiled code is not kept for the next job: {refusal(error) or error}")


def keep(place: Path, files: dict[str, bytes]) -> None:
    """Write one pack, at once or not at all. It is no loss if the machine stops before it is on the disk."""
    data = marshal.dumps(files)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(place)
    try:
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def unpacked(pack: Path) -> dict[str, bytes]:
    """File name -> bytes of a pack; nothing of one that is not whole."""
    content = pack.read_bytes()
    head, data = content[:32], content[32:]
    return marshal.loads(data) if hashlib.sha256(data).digest() == head else {}


def stamp_of(file: Path) -> tuple[int, int]:
    """What changes when numba replaces a file."""
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns


def functions_of(module: Path) -> dict[str, list[Path]]:
    """Function -> index and code of it that lie beside a module."""
    found: dict[str, list[Path]] = {}
    for file in sorted((module.parent / "__pycache__").glob(f"{module.stem}.*.nb[ic]")):
        if match := FUNCTION.fullmatch(file.name):
            found.setdefault(match[1], []).append(file)
    return found
