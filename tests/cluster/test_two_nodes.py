"""Pretraining on two nodes through the profiles, on a real Slurm: the checkpoint is the one of one machine."""

import pytest

from tests.cluster.build import Build
from tests.golden import digests

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
CHECKPOINT = "results/pretrain/step-30/manifest.json"


@pytest.fixture
def spread(tmp_path):
    file = tmp_path / "spread.yaml"
    file.write_text("pretrain: {nodes: 2, parallel: {data: 2}}\n")
    return file


@pytest.mark.parametrize("profile", ["generic", "slurm"])
def test_both_nodes_work_on_one_checkpoint(cluster, built, tmp_path, spread, profile):
    build = built.build.fork(tmp_path / "spread", spread)
    before = on_both(cluster)
    build.run(CHECKPOINT, profile=profile)
    assert len(on_both(cluster) - before) == 1
    here = built.build.fork(tmp_path / "here", spread)
    here.run(CHECKPOINT, profile="default")
    assert checkpoint(build) == checkpoint(here) != checkpoint(built.build)


def on_both(cluster) -> set[str]:
    """Jobs that have run on two nodes."""
    lines = cluster.run("squeue", "-h", "--states=COMPLETED", "-o", "%A %D").stdout.splitlines()
    return {number for number, nodes in map(str.split, lines) if nodes == "2"}


def checkpoint(build: Build) -> str:
    return digests(build.directory)["pretrain/step-30/manifest.json"]
