"""What tests of several files share: one build of presets/tiny.yaml, which takes a minute."""

from pathlib import Path

import pytest

from tests.build import build
from tests.stemma.conftest import jobs


@pytest.fixture(autouse=True)
def stays():
    """A test that leaves the directory it began in would lead the next one astray."""
    before = Path.cwd()
    yield
    assert Path.cwd() == before


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """One build of everything, from nothing. Leave it as it is, or bring it back."""
    directory = tmp_path_factory.mktemp("tiny")
    done = build(directory)
    assert {how for _, how in jobs(done)} == {"run"}
    assert "Key figures" in done.stdout
    return directory
