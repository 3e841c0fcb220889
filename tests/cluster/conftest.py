"""The real Slurm of these tests, and one build of presets/tiny.yaml through it that they share."""

import fcntl
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.build import Build, Submitted

LOCK = Path("/tmp/stemma-slurm.lock")


@pytest.fixture(scope="session")
def cluster():
    """Two idle nodes, for one run of tests at a time. A Slurm that was up before stays up afterwards."""
    reason = slurm.missing()
    if reason:
        pytest.skip(reason)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        was_up = slurm.CONF.exists() and slurm.answers()
        slurm.up()
        yield slurm
        if not was_up:
            slurm.down()


@pytest.fixture(autouse=True)
def healthy(cluster):
    """Each test begins with both nodes and an empty queue, and leaves none of its jobs."""
    cluster.recover()
    yield
    cluster.run("scancel", "--state=PENDING,RUNNING", "--quiet", "--user=root", check=False)


@pytest.fixture(scope="session")
def built(cluster, tmp_path_factory) -> Submitted:
    """Everything, from nothing, on the cluster. Fork it; leave it as it is."""
    return Build(tmp_path_factory.mktemp("cluster")).run()
