"""Checks that what a workflow's scripts import is installed where this snakemake runs. With another environment's
snakemake a build would fail midway, or at an import that explains nothing. As the check comes first, this module
imports only Snakemake and the standard library.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

from snakemake.exceptions import WorkflowError

NAME = re.compile(r"[\w.-]+")


def check_installed(house: Path) -> None:
    """Raise WorkflowError if a distribution that envs/runtime.in names is missing. The repository's own environment,
    which is made from that file, is not checked."""
    own = house / ".venv"
    if Path(sys.prefix).resolve() == own.resolve():
        return
    for line in (house / "envs/runtime.in").read_text().splitlines():
        name = NAME.match(line)
        if name and not is_installed(name[0]):
            made = "" if (own / "bin/snakemake").exists() else " (`make setup` makes it)"
            raise WorkflowError(
                f"{name[0]} is not installed in {sys.prefix}, to which this snakemake belongs; "
                f"run {own / 'bin/snakemake'}{made}"
            )


def is_installed(name: str) -> bool:
    """Does this environment have a distribution of this name?"""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
