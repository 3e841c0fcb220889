"""What is said of processor, memory, kernel, GPUs and Slurm, each with a machine that lacks it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemma.doctor import machine
from stemma.doctor.finding import Finding
from stemma.execute import landlock
from tests.stemma.conftest import REPOSITORY

WITHOUT_LANDLOCK = """
import ctypes, errno, struct
REFUSE, ALLOW = 0x00050000 | errno.ENOSYS, 0x7FFF0000
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, REFUSE), (0x06, 0, 0, ALLOW)]  # of the system call's number
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
"""
TELL = "from stemma.doctor import machine\nfor found in machine.{part}(): print(found.level, found.topic, found.text)"


def told(part: str, before: str = "", prefix: tuple[str, ...] = ()) -> str:
    """What one part says in a process of its own, to which something was done before."""
    command = [*prefix, sys.executable, "-c", before + TELL.format(part=part)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


def levels(found: Iterator[Finding]) -> list[str]:
    return [finding.level for finding in found]


def test_cores_of_others_are_not_counted():
    before = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    assert "fine processor 1 core of " in told("machine", before)


@pytest.mark.parametrize(
    ("groups", "file", "text", "limit"),
    [
        ("0::/job/step\n", "job/memory.max", "1500000000\n", 1_500_000_000),
        ("0::/job/step\n", "job/step/memory.max", "max\n", None),
        ("0::/elsewhere\n", "memory.max", "1000000\n", 1_000_000),
        ("4:memory:/job\n0::/\n", "memory/job/memory.limit_in_bytes", "2000000\n", 2_000_000),
        ("5:devices:/job\n", "devices/job/memory.limit_in_bytes", "2000000\n", None),
    ],
)
def test_a_control_group_s_limit_is_the_memory_there_is(tmp_path: Path, groups: str, file: str, text: str, limit):
    (tmp_path / "groups").write_text(groups)
    (tmp_path / "root" / file).parent.mkdir(parents=True)
    (tmp_path / "root" / file).write_text(text)
    assert machine.memory_limit(tmp_path / "groups", tmp_path / "root") == limit


def test_little_memory_is_worth_knowing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "LITTLE", 10**18)
    [memory] = [found for found in machine.machine() if found.topic == "memory"]
    assert memory.level == "note"
    assert "lower --cores" in memory.text


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_kernel_without_landlock():
    """One that does not know the system call, as a filter makes it seem to the process."""
    assert told("kernel").startswith(f"fine Landlock ABI {landlock.version()}")
    said = told("kernel", WITHOUT_LANDLOCK)
    assert said.startswith("note Landlock not there: native code") and "Linux 5.19" in said


@pytest.mark.parametrize(
    ("most", "setting", "value", "level"),
    [("0", None, None, "note"), ("9", "0", "0", "note"), ("9", "0", "1", "fine"), (None, None, None, "note")],
)
def test_user_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most, setting, value, level: str):
    """The settings of several distributions, in files of their own."""
    monkeypatch.setattr(machine, "USER_NAMESPACES", tmp_path / "most")
    monkeypatch.setattr(machine, "FORBIDDING", {tmp_path / "setting": setting})
    if most is not None:
        (tmp_path / "most").write_text(f"{most}\n")
    if value is not None:
        (tmp_path / "setting").write_text(f"{value}\n")
    assert levels(machine.kernel())[-1] == level


def test_a_gpu_that_torch_does_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A driver's own list, and the torch that is installed."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    [found] = machine.gpus(tmp_path)
    assert (found.level, found.text) == ("fine", "none; jobs run on the processor")
    (tmp_path / "0000:17").mkdir()
    (tmp_path / "0000:17/information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\n")
    [found] = machine.gpus(tmp_path)
    assert found.level == "note" and "NVIDIA H100 80GB HBM3, which torch does not see" in found.text
    monkeypatch.setattr(machine, "SEES_GPUS", "import no_torch")
    [found] = machine.gpus(tmp_path)
    assert found.level == "stop" and "No module named 'no_torch'" in found.text
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    [found] = machine.gpus(tmp_path)
    assert found.level == "note" and "CUDA_VISIBLE_DEVICES is empty" in found.text


NODES = "echo 'main*|up|2|idle'; echo 'main*|up|1|drain'; echo 'old|down|4|idle'"


@pytest.mark.parametrize(
    ("sinfo", "level", "said"),
    [
        (None, "fine", "not here"),
        (NODES, "fine", "2 nodes can take jobs; partitions: main, old"),
        ("echo 'main*|up|3|drain'; echo 'main*|up|1|down*'", "note", "no node can take a job (partitions: main)"),
        ("echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1", "note", "does not answer"),
    ],
)
def test_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sinfo: str | None, level: str, said: str):
    """Programs of Slurm's names, that answer as its own do."""
    for name in ("sbatch", "sinfo") if sinfo else ():
        (tmp_path / name).write_text(f"#!/bin/sh\n{sinfo}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    [found] = machine.slurm()
    assert found.level == level and said in found.text
