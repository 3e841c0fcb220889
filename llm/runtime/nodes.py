"""Runs ranks on all nodes of a Slurm job, each a task of one step that srun starts. The first node holds the store.

srun reports the fate of a task only in a line of text, which is parsed here: a killed rank leaves no outcome. srun runs
in a session of its own: a signal to this process's group is meant for the ranks, and on SIGTERM srun would kill them at
once. SIGUSR1 it forwards to them.
"""

import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from llm.errors import InputError
from llm.runtime import rank, slurm
from llm.runtime.group import GRACE, Outcome, explanation, open_store, orders_for, passing_on_sigterm
from llm.runtime.process import die_with_parent

T = TypeVar("T")
SAID = re.compile(r"(?:srun|slurmstepd\S*): (?:error: )?(.*)")
TASKS = re.compile(r"(\S+): tasks? ([\d,-]+): (.*)")
TERMINATED = "forcing job termination"  # srun's message on SIGTERM


def start_on_nodes(
    job: str, nodes: int, world_size: int, work: Callable[..., T], arguments: tuple, timeout: float, shared: Path | None
) -> T:
    """Start the ranks, wait, and return rank 0's result or raise the failure. shared: a directory that all nodes see.
    Raises InputError if the job has another number of nodes."""
    node = slurm.node_name()
    count = slurm.node_count(job)
    if count != nodes:
        raise InputError(
            f"pretrain.nodes is {nodes}, but Slurm job {job} has {count} node{'s' * (count > 1)}; "
            "ask Slurm for as many, or change the config"
        )
    if shared is None:
        raise InputError("ranks on several nodes need --scratch: a directory that all of them see")
    if node is None:
        raise InputError(f"this process belongs to Slurm job {job}, but runs on none of its nodes; start it by sbatch")
    host = slurm.address_of(node)
    try:
        store, address = open_store(host, timeout)
    except OSError as error:
        raise InputError(
            f"{host}, which Slurm calls the address of node {node}, is none of its own ({error})"
        ) from None
    orders = orders_for(address, world_size, timeout, (work, arguments))
    shared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shared, prefix="ranks-") as name:
        directory = Path(name)
        (directory / rank.ORDERS).write_bytes(pickle.dumps(orders))
        said = run_step(step(nodes, world_size, orders.threads, directory))
        outcomes = [rank.read_outcome(directory, number) for number in range(world_size)]
    del store  # the ranks needed it until here
    return result_of(outcomes, said)


def step(nodes: int, world_size: int, threads: int, directory: Path) -> list[str]:
    """Return srun's command line. Whatever a site's settings could change about the ranks is given explicitly."""
    return [
        "srun",
        f"--nodes={nodes}",
        f"--ntasks={world_size}",
        f"--ntasks-per-node={world_size // nodes}",
        f"--cpus-per-task={threads}",
        "--distribution=block",  # rank r is on node r // ranks per node, so tensor ranks are neighbours
        "--gpu-bind=none",  # each sees all GPUs of its node and takes that of its local number
        "--kill-on-bad-exit=0",  # run_step does it, after the others had time to report
        "--wait=0",
        "--overlap",
        "--mpi=none",
        "--input=none",
        "--export=ALL",
        sys.executable,
        "-P",
        "-m",
        rank.__name__,
        str(directory.absolute()),
    ]


def run_step(command: list[str]) -> list[str]:
    """Run srun, and end the step GRACE seconds after a task has failed. Its stderr is passed on; the lines that Slurm
    itself wrote there are returned."""
    srun = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # as multiprocessing does
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(signal.SIGTERM),
    )
    assert srun.stderr is not None
    timer = threading.Timer(GRACE, srun.terminate)
    said: list[str] = []
    try:
        with passing_on_sigterm(lambda: srun.send_signal(signal.SIGUSR1)):
            for line in srun.stderr:
                sys.stderr.write(line)
                if match := SAID.match(line):
                    if TASKS.match(match[1]) and not any(map(TASKS.match, said)):
                        timer.start()
                    said.append(match[1])
    finally:
        timer.cancel()
        srun.terminate()
        srun.wait()
    return said


def result_of(outcomes: list[Outcome | None], said: list[str]) -> Any:
    """Return rank 0's result, or raise what explains the failure; None stands for a rank that left no outcome."""
    silent = [
        Outcome(None, InputError(f"rank {number} on node {node}: {how}; run again"), float("inf"))
        for number, node, how in deaths(said)
        if outcomes[number] is None
    ]
    told = [outcome for outcome in outcomes if outcome is not None]
    failures = [outcome for outcome in told if outcome.failure is not None] + silent
    if failures:
        raise explanation(failures)
    if None in outcomes:
        raise InputError(
            f"rank {outcomes.index(None)} ended without a word, srun: {(said or ['nothing'])[0]}; run again"
        )
    return told[0].result


def deaths(said: list[str]) -> list[tuple[int, str, str]]:
    """Return (rank, node, how) of the tasks that failed before srun was made to end the others."""
    if TERMINATED in said:
        said = said[: said.index(TERMINATED)]
    return [
        (number, match[1], match[3]) for line in said if (match := TASKS.match(line)) for number in numbers(match[2])
    ]


def numbers(text: str) -> list[int]:
    """Parse Slurm's notation of a set of numbers: 0-2,5."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
