"""Fetches one pinned archive: from a URL, a Debian package or a file of a Python package index.

Every archive is checked against its pinned sha256 before it counts. Nothing that was fetched is ever executed: an sdist
is taken from the index's simple API (PEP 503, PEP 691) as a file. Unpacking is llm/collect/archive.py's. Only
scripts/collect/fetch.py may use this module: it is the one place that touches the network.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from llm.collect.apt import fetch_apt
from llm.collect.download import fetch_url, redact
from llm.collect.pypi import fetch_pypi
from llm.errors import InputError
from llm.io.digest import sha256_of


@dataclass(frozen=True)
class Pin:
    """What to fetch. `kind` url: `name` is a http, https or file URL. apt: `package=version`. pypi: `package==version`
    and `file` the archive's file name on the index. `sha256`: 64 hex digits."""

    kind: str
    name: str
    file: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.kind}:{redact(self.name)}"


def fetch(pin: Pin, archive: Path) -> dict:
    """Fetch `pin` into the file `archive` and return {"bytes", "seconds", "from"}. Raises InputError if it cannot be
    had or its sha256 is another; then no file is left."""
    started = time.monotonic()
    if pin.sha256 and not re.fullmatch(r"[0-9a-f]{64}", pin.sha256):
        raise InputError(f"{pin}: sha256 '{pin.sha256}' is not 64 lower-case hex digits")
    try:
        origin = fetch_by_kind(pin, archive)
        check(pin, archive)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    return {"bytes": archive.stat().st_size, "seconds": round(time.monotonic() - started, 3), "from": origin}


def fetch_by_kind(pin: Pin, archive: Path) -> str:
    """Download by the kind of source. Its digest is checked later, but of several indexes the first with the pinned
    archive is taken."""
    match pin.kind:
        case "url":
            return fetch_url(pin.name, archive)
        case "apt":
            return fetch_apt(pin.name, archive)
        case "pypi":
            return fetch_pypi(pin.name, pin.file, archive, lambda: check(pin, archive) if pin.sha256 else None)
    raise InputError(f"source kind '{pin.kind}' is unknown; use url, apt or pypi")


def check(pin: Pin, archive: Path) -> None:
    """Raise InputError with both digests unless `archive` has the pinned sha256."""
    found = sha256_of(archive)
    if not pin.sha256:
        raise InputError(
            f"{pin} has no sha256; what was fetched has sha256: {found} (put that line into the source if you trust it)"
        )
    if found != pin.sha256:
        raise InputError(
            f"{pin}: sha256 is {found}, pinned is {pin.sha256}; the archive was damaged or replaced: fetch again, "
            "or change the pin if you trust the new one"
        )
