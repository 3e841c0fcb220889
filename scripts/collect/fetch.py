"""Fetch one source's pinned archive and check its sha256. It is the only script that uses the network."""

from pathlib import Path

from llm.collect.fetch import Pin, fetch
from llm.command import command


def main(archive: Path, *, kind: str, pin: str, file: str, sha256: str) -> dict:
    """archive: the file to write. kind: url, apt or pypi. pin: the URL, package=version or package==version.
    file: name of the archive on the index (pypi only, else ''). Returns {"bytes", "seconds", "from"}."""
    return fetch(Pin(kind=kind, name=pin, file=file, sha256=sha256), archive)


if __name__ == "__main__":
    command(main)
