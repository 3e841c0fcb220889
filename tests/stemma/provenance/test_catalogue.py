"""What the summary, the report and the crate list, where a manifest in results/ holds anything."""

import contextlib
import json
import subprocess
import sys

import pytest

from stemma.base.settings import Settings
from stemma.provenance.catalogue import current
from stemma.provenance.trust import Records
from tests.stemma.conftest import REPOSITORY, Toy
from tests.stemma.hostile import POSTER

PARTS = "results/parts/manifest.json"
MANIFESTS = {
    "an entry that is none": {"files": [{}]},
    "a number": {"files": 3},
    "names": {"files": ["a.txt"]},
    "no size": {"files": [{"path": "a.txt", "size": None, "sha256": "0" * 64}]},
    "a way out": {"files": [{"path": "../../text.txt", "size": 6, "sha256": "0" * 64}]},
    "a list": [],
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_is_none(built: Toy, what: str):
    place = built.path / PARTS
    place.unlink()
    place.write_text(json.dumps(MANIFESTS[what]))
    with contextlib.chdir(built.path):
        sizes = {item.target: item.size for item in current(Records.of(Settings.here()))}
    assert sizes == {"results/parts": 0, "results/joined.txt": 33, "results/final.txt": 33}


def test_every_command_that_lists_artifacts_ends_well(built: Toy):
    place = built.path / PARTS
    place.unlink()
    place.write_text('{"files":[{}]}')
    (built.path / "poster.yaml").write_text(POSTER)
    for command in (
        ["summary", "--poster", "poster.yaml"], ["show", "results/parts"], ["crate", "results/crate", "Snakefile"],
        ["report", "poster.yaml", "results/report/index.html"],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "stemma", *command],
            cwd=built.path, env=built.environment | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    page = built.read("results/report/index.html")
    assert "results/parts/manifest.json was changed after it was built" in page
