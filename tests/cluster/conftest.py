"""The real Slurm of these tests, and one build of presets/tiny.yaml through it that they share."""

import fcntl
import ipaddress
import threading
from pathlib import Path

import psutil
import pytest

from tests.cluster import slurm
from tests.cluster.build import Build, Submitted
from tests.cluster.toy import OnSlurm
from tests.stemma.conftest import planted

LOCK = Path("/tmp/stemma-slurm.lock")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a busy host the build that tests share takes longer than a test may elsewhere."""
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.timeout(3600))


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
    cluster.cancel_all()


@pytest.fixture(autouse=True)
def loopback_alone():
    """Whatever runs meanwhile on this host opens no port that another machine could reach."""
    before, opened, over = listening(), set(), threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            opened.update(listening() - before)

    thread = threading.Thread(target=look)
    thread.start()
    yield
    over.set()
    thread.join()
    assert opened == set()


def listening() -> set[tuple[str, int]]:
    """Addresses beyond loopback that somebody listens at."""
    found = psutil.net_connections("tcp")
    addresses = {tuple(item.laddr) for item in found if item.status == psutil.CONN_LISTEN}
    return {(host, port) for host, port in addresses if not ipaddress.ip_address(host).is_loopback}


@pytest.fixture(scope="session")
def built(cluster, tmp_path_factory) -> Submitted:
    """Everything, from nothing, on the cluster. Fork it; leave it as it is."""
    return Build(tmp_path_factory.mktemp("cluster")).run()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch) -> OnSlurm:
    """The toy workflow through the queue, nothing built."""
    planted(tmp_path)
    monkeypatch.chdir(tmp_path)
    return OnSlurm(tmp_path)
