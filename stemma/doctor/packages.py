"""The installed packages beside the lock, and beside what was installed."""

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
FIRST = 3  # of many names
MENDED = "`make setup` installs what the lock says"


def versions(house: Path = ROOT) -> Iterator[Finding]:
    """What the lock says beside what is here. Another version stops no build, but is in keys: what loads it is built
    anew, and shared with nobody who keeps to the lock."""
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
    """Name -> version of all that the lock pins, and of what is pinned beside it because its build is the machine's."""
    texts = [(house / file).read_text() for file in (NAMED, LOCK) if (house / file).is_file()]
    return {normal(name): version for text in texts for name, version in PIN.findall(text)}


def version_of(name: str) -> str | None:
    """The version that is installed, None where none is."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def is_same(here: str, wanted: str) -> bool:
    """The same version, whichever build of it (`2.13.0+cpu`)?"""
    return here == wanted or here.partition("+")[0] == wanted


def edits() -> Iterator[Finding]:
    """Installed files that are not those that were installed. No key sees them."""
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
    """Programs that a build calls."""
    if shutil.which("git") is None:
        yield note("git", "not on PATH: records will not name the commit of the code; install it")
    if shutil.which("bash") is None:
        yield stop("bash", "not on PATH, and Snakemake runs every job through it; install it")


def few(names: list[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - FIRST} more" if len(names) > FIRST else ""
    return ", ".join(names[:FIRST]) + more
