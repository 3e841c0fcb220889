"""What dies on a cluster, while a model is trained: a node, the controller, the job by its limits, the submitter. Each
time the run ends with the digests of one that nothing happened to, and never are there two trainers.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.build import Build, Submitted
from tests.cluster.slurm import wait_for
from tests.golden import ROOT, digests

pytestmark = pytest.mark.cluster
LONG = ROOT / "tests/cluster/long.yaml"
TARGET = "results/pretrain/step-600/manifest.json"


@pytest.fixture(scope="module")
def undisturbed(built, tmp_path_factory) -> dict[str, str]:
    """Digests of the checkpoints, made on this machine without a fault."""
    build = built.build.fork(tmp_path_factory.mktemp("undisturbed") / "fork", LONG)
    build.run(TARGET, profile="default")
    return checkpoints(build)


@pytest.fixture
def build(built, tmp_path) -> Build:
    """All that training needs is there; training is to be done."""
    return built.build.fork(tmp_path / "fork", LONG)


def checkpoints(build: Build) -> dict[str, str]:
    found = {name: sha256 for name, sha256 in digests(build.directory).items() if name.startswith("pretrain/step-")}
    return {name: found[name] for name in ("pretrain/step-300/manifest.json", "pretrain/step-600/manifest.json")}


def is_training(build: Build) -> bool:
    """Has the trainer kept a recovery point?"""
    return any((build.directory / "results/.store/scratch").glob("*/point-*"))


def trainers(build: Build) -> int:
    """How many processes there are that train for this build, on all nodes; the machine may have other builds."""
    found, ours = 0, f"{build.directory}/"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text(errors="replace").split("\0")
        except OSError:
            continue
        guarded = [
            n for n, word in enumerate(words[:-1]) if word.startswith(ours) and word.endswith("/.code/sitecustomize.py")
        ]
        found += bool(guarded) and words[guarded[0] + 1].endswith("/pretrain.py")
    return found


def states_of_jobs(cluster, build: Build) -> list[str]:
    """What became of the jobs of a build, as Slurm remembers it."""
    lines = cluster.run("squeue", "-h", "--states=all", "-o", "%T %Z").stdout.splitlines()
    return [line.split()[0] for line in lines if line.endswith(f" {build.directory}")]


def node_of_the_job(cluster) -> str:
    """The node that runs something."""
    return next(node for node in cluster.NODES if cluster.jobs_on(node))


@contextmanager
def counting_trainers(build: Build) -> Iterator[list[int]]:
    """The list holds the highest number that was seen at a time."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            most[0] = max(most[0], trainers(build))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def disturbed(build: Build, fault, *arguments: str) -> Submitted:
    """A build that a fault is done to once it trains; it must survive that by itself."""
    with counting_trainers(build) as most:
        process = build.start(TARGET, *arguments)
        wait_for(lambda: is_training(build) or process.poll() is not None, "training to begin", 120)
        fault()
        done = build.end(process)
    assert done.returncode == 0, done.said
    assert most == [1]
    return done


def test_a_node_dies(cluster, build, undisturbed):
    done = disturbed(build, lambda: cluster.kill_node(node_of_the_job(cluster)))
    assert checkpoints(build) == undisturbed
    assert done.rules == ["pretrain"] * 3


@pytest.mark.slow
def test_the_controller_dies_and_comes_back(cluster, build, undisturbed):
    def fault() -> None:
        cluster.kill_controller()
        time.sleep(10)
        cluster.start_controller()

    done = disturbed(build, fault)
    assert checkpoints(build) == undisturbed
    assert done.rules == ["pretrain"] * 2


@pytest.mark.slow
def test_slurm_puts_the_job_back_into_the_queue(cluster, build, undisturbed):
    def fault() -> None:
        (number,) = cluster.jobs_on(node_of_the_job(cluster))
        cluster.run("scontrol", "update", f"jobid={number}", "requeue=1")  # as a site may have it by itself
        cluster.run("scontrol", "requeue", number)
        wait_for(lambda: cluster.run("squeue", "-h", "-j", number, "-t", "PD").stdout, "the job to wait")
        cluster.run("scontrol", "update", f"jobid={number}", "starttime=now")

    done = disturbed(build, fault)
    assert checkpoints(build) == undisturbed
    assert done.rules == ["pretrain"] * 2


@pytest.mark.slow
def test_a_job_over_its_memory_gets_more(build, undisturbed):
    done = disturbed(build, lambda: None, "--set-resources", "pretrain:mem_mb=100")
    assert checkpoints(build) == undisturbed
    assert len(done.rules) > 2


@pytest.mark.slow
def test_a_segment_over_its_time_limit_goes_on_in_the_next_job(built, tmp_path):
    longer = tmp_path / "longer.yaml"
    longer.write_text("pretrain: {steps: 1400, checkpoint_every: 1400, recovery_every: 50, validation_tokens: 512}\n")
    target = "results/pretrain/step-1400/manifest.json"
    build = built.build.fork(tmp_path / "cluster", longer)
    with counting_trainers(build) as most:
        done = build.run(target, "--set-resources", "pretrain:runtime=1", "--retries", "15")
    assert most == [1]
    assert len(done.rules) > 1
    logs = (build.directory / ".snakemake/slurm_logs").rglob("*.log")
    assert any("stopped at step" in log.read_text() for log in logs)
    alone = built.build.fork(tmp_path / "alone", longer)
    alone.run(target, profile="default")
    assert digests(build.directory) == digests(alone.directory)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_submitter_is_killed_and_started_again(build, undisturbed, number):
    with counting_trainers(build) as most:
        process = build.start(TARGET)
        wait_for(lambda: is_training(build), "training to begin", 120)
        os.killpg(process.pid, number)
        process.communicate(timeout=300)
        done = build.run(TARGET)
    assert most == [1]
    assert checkpoints(build) == undisturbed
    assert done.rules
    if number == signal.SIGKILL:
        assert "that an earlier snakemake left here will be ended first" in done.said


@pytest.mark.slow
def test_a_node_whose_disk_is_full_is_left_for_another(cluster, build, undisturbed):
    cluster.kill_node("n1")
    cluster.start_node("n1", f"mount -t tmpfs -o size=64k full {build.directory}/results/.store/tmp")
    cluster.run("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
    process = build.start(TARGET)
    wait_for(lambda: "FAILED" in states_of_jobs(cluster, build), "the job on n1 to fail", 120)
    cluster.run("scontrol", "update", "nodename=n2", "state=resume")
    done = build.end(process)
    cluster.kill_node("n1")  # and its view of the disk with it
    assert done.returncode == 0, done.said
    assert "no space left on the device" in done.said
    assert checkpoints(build) == undisturbed


@pytest.mark.slow
def test_the_store_is_gone_for_a_while(build, tmp_path, undisturbed):
    disk, away = tmp_path / "disk", tmp_path / "away"
    disk.mkdir()
    (build.directory / "results/.store").rename(disk / "store")
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(f"store: {disk}/store\n")
    build = Build(build.directory, *build.configs, elsewhere)
    process = build.start(TARGET)
    wait_for(lambda: any((disk / "store/scratch").glob("*/point-*")), "training to begin", 120)
    disk.rename(away)
    time.sleep(5)
    away.rename(disk)
    done = build.end(process)
    assert done.returncode == 0, done.said
    assert checkpoints(build) == undisturbed
