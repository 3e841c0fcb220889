"""Keeps what a download has so far where the next attempt finds it: in the cache, not among the outputs.

There is one file for each address, and beside it what its server said of the version it is (ETag or Last-Modified), so
that no two versions are ever joined. A lock keeps two jobs from writing one file; the second one starts its own. What
nobody took up again for two weeks is removed. It knows no network.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

KEPT_S = 14 * 86400


@dataclass
class Partial:
    """The first bytes of version `validator` of an address, in `file`, which is open for reading and writing."""

    file: BinaryIO
    note: Path | None
    validator: str = ""

    def size(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def begin(self, validator: str) -> None:
        """Start over, with the version that `validator` names ('' if the server names none)."""
        self.file.seek(0)
        self.file.truncate()
        self.validator = validator
        if self.note is not None:
            self.note.write_text(json.dumps({"validator": validator}))


def cache() -> Path:
    """Return the directory of unfinished downloads: where XDG_CACHE_HOME says, which the build engine sets."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stemma" / "downloads"


@contextlib.contextmanager
def partial(url: str) -> Iterator[Partial]:
    """Give what there is of `url` (without credentials). It is removed when the block ends well, kept when it does
    not."""
    path = cache() / hashlib.sha256(url.encode()).hexdigest()[:32]
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    note = path.with_suffix(".json")
    with path.open("ab") as creating:
        creating.flush()
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with tempfile.TemporaryFile() as own:
                yield Partial(own, None)
            return
        yield Partial(file, note, validator(note))
        file.flush()
        path.unlink(missing_ok=True)
        note.unlink(missing_ok=True)


def validator(note: Path) -> str:
    """Return the version that a note names; '' if there is none, or it was cut off by a kill."""
    try:
        return str(json.loads(note.read_text())["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def sweep(directory: Path) -> None:
    """Remove what nobody took up again."""
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()


@contextlib.contextmanager
def slot(host: str, most: int) -> Iterator[None]:
    """Hold one of `most` connections to a host, over all jobs that share the cache; it waits until one is free."""
    folder = cache() / "hosts"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(host.encode()).hexdigest()[:16]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((folder / f"{name}.{number}").open("ab")) for number in range(most)]
        while not any(map(locked, files)):
            time.sleep(0.2)
        yield


def locked(file: BinaryIO) -> bool:
    """Try to lock a file; return whether that worked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
