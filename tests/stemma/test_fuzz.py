"""A few examples of each check of tests/stemma/fuzz.py; CI goes on for a minute."""

import subprocess
from pathlib import Path

import pytest

from tests.stemma.fuzz import CHECKS, Grounds, check_of

EXAMPLES = {"everything": 15, "asking": 8, "writing": 8, "building": 1}  # of the others sixty


@pytest.fixture(scope="module")
def grounds(tmp_path_factory, built_once: Path) -> Grounds:
    """A built toy of this file's own."""
    path = tmp_path_factory.mktemp("grounds")
    subprocess.run(["cp", "-a", f"{built_once}/.", path], check=True)
    return Grounds(path, tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("name", CHECKS)
def test_what_others_wrote(grounds: Grounds, name: str):
    check_of(grounds, name, EXAMPLES.get(name, 60))()
