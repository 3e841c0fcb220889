"""Ranks that start, agree, fail and die: the right line is raised, and no process is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist

from llm.errors import InputError
from llm.runtime.launch import Place, place_in, run_ranks

ROOT = Path(__file__).resolve().parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"]
SCRIPT = """
import sys
from llm.runtime.launch import run_ranks
from tests.llm.runtime.test_launch import sleep, total
if __name__ == "__main__":
    print(run_ranks(2, sleep, sys.argv[1]) if sys.argv[1:] else run_ranks(2, total, 1.0))
"""


def total(value: float) -> tuple[int, float, int]:
    number = torch.tensor([value * (dist.get_rank() + 1)])
    dist.all_reduce(number)
    return dist.get_rank(), number.item(), torch.get_num_threads()


def whoami() -> tuple[int, bool]:
    return os.getpid(), dist.is_initialized()


def fail(how: str) -> None:
    """Rank 1 fails, rank 0 waits for it in a collective."""
    if dist.get_rank() == 1:
        if how == "input":
            raise InputError("pretrain.learning_rate: too high")
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ZeroDivisionError("a defect")
    dist.barrier()


def sleep(directory: str) -> None:
    (Path(directory) / str(dist.get_rank())).write_text(str(os.getpid()))
    time.sleep(300)


def save_and_end(directory: str) -> str:
    """What a rank does that has a handler: end in peace."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    (Path(directory) / str(dist.get_rank())).touch()
    if dist.get_rank() == 0:
        while len(list(Path(directory).iterdir())) < 2:
            time.sleep(0.02)
        os.kill(os.getppid(), signal.SIGTERM)
    while not stopped:
        time.sleep(0.02)
    return "saved"


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    """After each test: no process that was not there before, but Python's own."""
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [child for child in left if "resource_tracker" not in " ".join(child.cmdline())]


def test_ranks_meet_and_rank_0_answers() -> None:
    assert run_ranks(2, total, 1.5) == (0, 4.5, 1)


def test_one_rank_is_this_process_and_has_no_group() -> None:
    assert run_ranks(1, whoami) == (os.getpid(), False)


@pytest.mark.parametrize(
    ("how", "error", "line"),
    [
        ("input", InputError, "^pretrain.learning_rate: too high$"),
        ("kill", InputError, "^rank 1 was ended by SIGKILL"),
        ("defect", RuntimeError, "rank 1: ZeroDivisionError: a defect"),
    ],
)
def test_the_rank_that_failed_is_heard_and_none_is_left(how: str, error: type, line: str) -> None:
    with pytest.raises(error, match=line):
        run_ranks(2, fail, how)


def test_ranks_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (tmp_path / "pids").mkdir()
    parent = subprocess.Popen([sys.executable, script, tmp_path / "pids"], cwd=ROOT, env=environment())
    pids = []
    while len(pids) < 2:
        time.sleep(0.05)
        pids = [int(text) for path in (tmp_path / "pids").iterdir() if (text := path.read_text())]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sigterm_reaches_the_ranks_and_their_result_the_caller(tmp_path: Path) -> None:
    assert run_ranks(2, save_and_end, str(tmp_path)) == "saved"


def test_ranks_that_torchrun_started_join_its_group(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([*TORCHRUN, script], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout.count("(0, 3.0, 1)") == 2, done.stderr


def test_the_place_is_read_from_torchrun_or_srun() -> None:
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    srun = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1"}
    assert place_in(torchrun) == place_in({**srun, "MASTER_ADDR": "a", "MASTER_PORT": "1"}) == Place(3, 4, 1)
    assert place_in(srun) is None  # a job of its own, not one of several tasks
    assert place_in({}) is None


def test_another_number_of_ranks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(InputError, match="asks for 2 ranks, but 3 were started"):
        run_ranks(2, total, 1.0)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
