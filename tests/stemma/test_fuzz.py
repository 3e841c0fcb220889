"""A few examples of each check of tests/stemma/fuzz.py; CI goes on for a minute."""

import subprocess
from pathlib import Path

import pytest

from tests.stemma.fuzz import CHECKS, Grounds, check_of


@pytest.fixture(scope="module")
def grounds(tmp_path_factory, built_once: Path) -> Grounds:
    """A built toy of this file's own."""
    path = tmp_path_factory.mktemp("grounds")
    subprocess.run(["cp", "-a", f"{built_once}/.", path], check=True)
    return Grounds(path)


@pytest.mark.parametrize("name", CHECKS)
def test_what_others_wrote(grounds: Grounds, name: str):
    check_of(grounds, name, 15 if name == "everything" else 60)()
