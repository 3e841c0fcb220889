"""Compares the installed packages with the lock, and their files with what was installed."""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from stemma.base.settings import ROOT
from stemma.code.distributions import normal
from stemma.code.installed_files import examine
from stemma.doctor.finding import Finding, fine, note, stop

LOCK, NAMED = Path("envs/runtime.lock"), Path("envs/runtime.in")
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)
FIRST = 3  # names that are printed of many
MENDED = "`make setup` installs what the lock says"


def versions(house: Path = ROOT) -> Iterator[Finding]:
    """Compare the installed versions with the lock. Another version stops no build, but it is in keys: what loads it is
    built again, and not shared with people who keep to the lock."""
    if not (house / LOCK).is_file():
        yield note("packages", f"{house / LOCK} is not there, so there is nothing to compare versions with")
        return
    wanted = pinned(house)
    here = {name: version_of(name) for name in wanted}
    missing = sorted(name for name, version in here.items() if version is None)
    others = [f"{name} {version} (not {wanted[name]})" for name, version in here.items()
              if version is not None and not is_same(version, wanted[name])]  # fmt: skip
    if missing:
        yield stop("packages", f"not installed in {sys.prefix}: {few(missing)}; {MENDED}")
    if others:
        yield note("packages", f"other versions than in {LOCK}: {few(others)}; what loads them is built anew; {MENDED}")
    if not missing and not others:
        yield fine("packages", f"{len(wanted)} as {LOCK} says, in {sys.prefix}")


def pinned(house: Path) -> dict[str, str]:
    """Return name -> version of all that the lock pins, and of pins beside it, whose builds depend on the machine."""
    texts = [(house / file).read_text() for file in (NAMED, LOCK) if (house / file).is_file()]
    return {normal(name): version for text in texts for name, version in PIN.findall(text)}


def version_of(name: str) -> str | None:
    """Return the installed version; None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def is_same(here: str, wanted: str) -> bool:
    """Are the versions equal, whichever build they are (`2.13.0+cpu`)?"""
    return here == wanted or here.partition("+")[0] == wanted


def edits() -> Iterator[Finding]:
    """Find installed files that were edited since, which no key shows."""
    names = sorted({normal(found.metadata["Name"]) for found in metadata.distributions() if found.metadata["Name"]})
    looked = [found for found in map(examine, names) if found]
    for found in looked:
        if found.faults:
            yield note(
                "packages",
                f"{found.name} {found.version}: {found.told}; no key sees that, so what was built with it may be "
                f"another's: {found.remedy}, then `python -m stemma verify`",
            )
    unlisted = [found.name for found in looked if found.files is None]
    if unlisted:
        yield note("packages", f"{few(unlisted)}: installed without a list of digests, so edits are not seen")
    if not any(found.faults for found in looked):
        count = sum(found.files or 0 for found in looked)
        yield fine("packages", f"{count:,} files of {len(looked)} packages are as they were installed")


def programs() -> Iterator[Finding]:
    """Look for programs that a build calls."""
    if shutil.which("git") is None:
        yield note("git", "not on PATH: records will not name the commit of the code; install it")
    if shutil.which("bash") is None:
        yield stop("bash", "not on PATH, and Snakemake runs every job through it; install it")


def few(names: list[str]) -> str:
    """Join the first FIRST names, and count the rest."""
    more = f" and {len(names) - FIRST} more" if len(names) > FIRST else ""
    return ", ".join(names[:FIRST]) + more
