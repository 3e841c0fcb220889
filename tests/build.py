"""The whole workflow on presets/tiny.yaml, by the real Snakemake, in a directory of its own."""

import subprocess
import sys
from pathlib import Path

from tests import fork_server
from tests.golden import ROOT


def command(directory: Path, *arguments: str) -> list[str]:
    """Snakemake on the tiny preset in another directory."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile",
        str(ROOT / "profiles/default"), "--directory", str(directory), "--cores", "2", "--configfile",
        str(ROOT / "presets/tiny.yaml"), *arguments,
    ]  # fmt: skip


def build_anew(directory: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run it to its end by a new interpreter, as a user does; it must succeed."""
    done = subprocess.run(command(directory, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def build(directory: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run it to its end by a fork of a process that has loaded Snakemake; it must succeed."""
    done = fork_server.run(command(directory, *arguments), ROOT)
    assert done.returncode == 0, done.stderr
    return done
