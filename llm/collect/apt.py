"""Fetches one Debian package as a file, through the machine's apt, without root and without changing its state."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from llm.errors import InputError
from llm.progress import progress

TIMEOUT_S = 60


def fetch_apt(pin: str, archive: Path) -> str:
    """Run `apt-get download package=version`, first with the machine's package lists, then with fresh private ones. It
    needs no root and changes nothing of the system's. Returns where the file came from."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?=[A-Za-z0-9.+:~-]+", pin):
        raise InputError(f"apt:{pin}: write package=version")
    if not shutil.which("apt-get"):
        raise InputError(
            f"apt:{pin}: apt-get is not on this machine; leave this source out of `corpus:` or run "
            "where Debian's packages are at hand"
        )
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        folder.chmod(0o755)  # apt's own user reads it when root calls
        first = apt(["download", pin], folder)
        if not list(folder.glob("*.deb")):
            progress(f"apt: fetching fresh package lists for {pin}")
            for name in ("lists/partial", "cache/archives/partial"):
                (folder / name).mkdir(parents=True)
            private = ["-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
            update = apt([*private, "-o", "Acquire::Languages=none", "update"], folder)
            second = apt([*private, "download", pin], folder)
            if not list(folder.glob("*.deb")):
                raise InputError(apt_problem(pin, private, update + "\n" + second, first))
        shutil.copyfile(next(folder.glob("*.deb")), archive)
    return f"apt:{pin}"


def apt(arguments: list[str], folder: Path, *, program: str = "apt-get") -> str:
    """Run apt and return what it printed. The caller looks at what lies in the folder, not at the exit status, because
    one unreachable third-party repository makes `update` fail."""
    done = subprocess.run(
        [program, "-q", "-o", "Acquire::Retries=2", "-o", f"Acquire::http::Timeout={TIMEOUT_S}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )
    return done.stdout + done.stderr


def apt_problem(name: str, options: list[str], fresh: str, first: str) -> str:
    """Return one line that says what apt's output means: no network, no such package, or no such version (with those
    that there are)."""
    package, _, version = name.partition("=")
    lines = [line for line in (fresh + first).splitlines() if line[:2] in ("E:", "W:", "Er")]
    offline = [line for line in lines if re.search(r"resolve|connect|Failed to fetch|timed out|unreachable", line)]
    with tempfile.TemporaryDirectory() as directory:
        madison = apt([*options, "madison", package], Path(directory), program="apt-cache")
    versions = sorted({row.split("|")[1].strip() for row in madison.splitlines() if row.count("|") >= 2})
    if versions and version not in versions:
        return (
            f"apt:{name}: version {version} is gone; the repositories of this machine have {', '.join(versions)}: "
            "pin one of them, with its sha256"
        )
    if offline:
        return f"apt:{name}: Debian's packages cannot be reached ({offline[-1]}); check the network and run again"
    if not versions:
        return f"apt:{name}: no repository of this machine has a package {package}; check the name"
    return f"apt:{name}: apt-get download fails ({lines[-1] if lines else last_line(fresh)})"


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
