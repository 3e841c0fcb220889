"""Pretraining over two nodes by a real sbatch and srun: equal bytes, kills, signals, a second job, a wrong number."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import golden
from tests.llm.pretrain.toy import ROOT, digests, make_inputs, options

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
LAYOUT = {"parallel": {"data": 2}, "recovery_every": 3}


class Toy:
    """One toy segment, tried again and again from one scratch directory."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.inputs = directory, make_inputs(directory)
        self.scratch, self.checkpoint = directory / "scratch", directory / "checkpoint"

    def start(self, faults: str = "{}", nodes: int = 2, name: str = "toy") -> subprocess.Popen:
        self.checkpoint.mkdir(exist_ok=True)
        arguments = options(self.inputs, checkpoint=self.checkpoint, scratch=self.scratch, nodes=2, **LAYOUT)
        script = self.directory / "script.sh"
        script.write_text(f"#!/bin/bash\nexec {shlex.join([sys.executable, 'tests/cluster/faulty.py', *arguments])}\n")
        size = [f"--nodes={nodes}", f"--ntasks={nodes}", "--cpus-per-task=2", "--mem=1500", "--time=3"]
        return subprocess.Popen(
            ["sbatch", "--wait", f"--job-name={name}", f"--output={self.directory / name}.out", *size, str(script)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "FAULTS": faults, "OMP_NUM_THREADS": "2"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self, process: subprocess.Popen, name: str = "toy") -> tuple[int, str]:
        """Exit status and the last line."""
        process.communicate(timeout=150)
        return process.returncode, (self.directory / f"{name}.out").read_text().splitlines()[-1]

    def run(self, faults: str = "{}", nodes: int = 2) -> tuple[int, str]:
        return self.end(self.start(faults, nodes))

    def trains(self) -> bool:
        return bool(list(self.scratch.glob("point-*")))


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def here(toy: Toy) -> dict[str, str]:
    """Digests of the same layout on this machine alone."""
    (toy.directory / "here").mkdir()
    arguments = options(toy.inputs, checkpoint=toy.directory / "here", nodes=2, **LAYOUT)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    environment.pop("SLURM_JOB_ID", None)
    command = [sys.executable, "scripts/pretrain/pretrain.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=100, capture_output=True)
    return digests(toy.directory / "here")


def test_a_killed_rank_is_named_and_the_next_job_ends_with_the_bytes_of_one_machine(toy: Toy) -> None:
    status, last = toy.run('{"kill": [1, 15], "sleep": 0.05}')
    assert (status, last) == (2, "error: rank 1 on node n2: Killed; run again")
    assert toy.trains()
    status, _ = toy.run()
    assert status == 0
    assert "going on from step" in (toy.directory / "toy.out").read_text()
    assert digests(toy.checkpoint) == here(toy)


def test_a_second_job_is_refused_and_a_signal_stops_the_first_in_peace(toy: Toy) -> None:
    first = toy.start('{"sleep": 3}')
    until(toy.trains)
    status, last = toy.end(toy.start(name="second"), "second")
    assert status == 2
    assert "is being trained by process" in last
    assert "on n1 (Slurm job " in last
    subprocess.run(["scancel", "--signal=USR1", "--name=toy"], check=True)
    status, last = toy.end(first)
    assert status == 75
    assert "all is kept; run again to go on" in last
    assert toy.run()[0] == 0
    assert digests(toy.checkpoint) == here(toy)


def test_another_number_of_nodes_is_refused(toy: Toy) -> None:
    status, last = toy.run(nodes=1)
    assert status == 2
    assert "pretrain.nodes is 2, but Slurm job" in last
    assert "has 1 node; ask Slurm for as many, or change the config" in last


@pytest.fixture
def alone() -> Iterator[str]:
    """A network namespace that nobody else sees: an agent of torchrun listens on every interface that there is."""
    name = "stemma-tests"
    subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def test_ranks_that_agents_of_torchrun_started_on_two_nodes_join(toy: Toy, alone: str) -> None:
    """An agent takes --start for its own, so the script's options stand in a file."""
    toy.checkpoint.mkdir()
    arguments = options(toy.inputs, checkpoint=toy.checkpoint, scratch=toy.scratch, **LAYOUT)
    inner, script = toy.directory / "inner.sh", toy.directory / "script.sh"
    inner.write_text(f"exec {shlex.join([sys.executable, 'scripts/pretrain/pretrain.py', *arguments])}\n")
    torchrun = (
        f"ip netns exec {alone} {sys.executable} -m torch.distributed.run --nnodes=2 --node-rank=$SLURM_NODEID "
        f"--master-addr=127.0.0.1 --master-port=29511 --nproc-per-node=1 --no-python bash {inner}"
    )
    script.write_text(f"#!/bin/bash\nsrun --nodes=2 --ntasks-per-node=1 bash -c '{torchrun}'\n")
    size = ["--nodes=2", "--ntasks=2", "--cpus-per-task=2", "--mem=1500", "--time=3"]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = ["sbatch", "--wait", f"--output={toy.directory / 'toy.out'}", *size, str(script)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, timeout=150)
    assert done.returncode == 0, (toy.directory / "toy.out").read_text()
    assert digests(toy.checkpoint) == here(toy)


def test_a_build_on_two_nodes_gives_the_bytes_of_a_build_here(built, tmp_path: Path) -> None:
    spread = tmp_path / "spread.yaml"
    spread.write_text("pretrain: {nodes: 2, parallel: {data: 2}}\n")
    target = "results/pretrain/step-60/manifest.json"
    remote, local = (built.build.fork(tmp_path / name, spread) for name in ("remote", "local"))
    done = remote.run(target)
    assert done.rules == ["pretrain"] * 2
    local.run(target, profile="default")
    assert golden.digests(remote.directory) == golden.digests(local.directory)
