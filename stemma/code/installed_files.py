"""Are the files of installed distributions those that were installed? A key holds a distribution's name and version, so
an edit at an equal version makes nothing stale: it has to be looked for.

Each distribution lists its files with their digests (RECORD, PEP 376 and 427). Not looked at: what lies outside the
folder of packages (bin/, whose first lines name the environment), and what has no digest there (compiled modules, which
Python makes of the files that have one; RECORD itself, so who edits both is not seen), and the authorities of certifi.
"""

import base64
import csv
import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from stemma.base.errors import reason
from stemma.code.distributions import normal

OF_SITES = frozenset(
    ("certifi/cacert.pem",)
)  # sites add their own authorities; what is fetched is pinned by its sha256
HASHES = ("sha256", "sha384", "sha512")
CHUNK = 1 << 20


@dataclass(frozen=True)
class Installed:
    """What was found of one distribution. `files`: how many were compared; `faults`: what is wrong with them, each in a
    few words; None for both where nothing lists its files with digests."""

    name: str
    version: str
    files: int | None
    faults: tuple[str, ...] | None

    @property
    def told(self) -> str:
        """The faults in a few words."""
        first, *others = self.faults or ("nothing is wrong",)
        return f"{first} (and {len(others):,} more)" if others else first

    @property
    def remedy(self) -> str:
        """What to do where a file was edited."""
        return f"pip install --force-reinstall --no-deps {self.name}=={self.version}"


def examine(name: str) -> Installed | None:
    """Compare a distribution's files with what it lists; None where it is not installed."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    rows = [row for row in csv.reader((found.read_text("RECORD") or "").splitlines()) if len(row) == 3 and row[1]]
    if not rows:
        return Installed(normal(name), found.version, None, None)
    faults, count = [], 0
    for path, digest, _ in rows:
        if path.startswith(("..", "/")) or path in OF_SITES:
            continue
        count += 1
        fault = compare(Path(str(found.locate_file(path))), digest)
        if fault:
            faults.append(f"{path} {fault}")
    return Installed(normal(name), found.version, count, tuple(faults))


def compare(file: Path, digest: str) -> str | None:
    """What is wrong with a file whose digest is listed as `sha256=<base64 without padding>`; None if nothing is."""
    kind, _, wanted = digest.partition("=")
    if kind not in HASHES:
        return f"is listed with {kind or 'no digest'}, which nothing can be compared with"
    found = hashlib.new(kind)
    try:
        with file.open("rb") as source:
            while chunk := source.read(CHUNK):
                found.update(chunk)
    except OSError as error:
        return f"cannot be read ({reason(error)})"
    made = base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode()
    return None if made == wanted.rstrip("=") else "was changed since it was installed"
