"""Runs a submitted job from its ticket: its command line, frozen when it was submitted.

Snakemake sends a whole snakemake to the node, which reads the workflow again, by then perhaps a changed one: whoever
edits a config while jobs wait would get jobs of the new config under keys that are partly of the old. It also takes
2 s of CPU, on Slurm twice. `python -m stemma job TICKET` does on the node what is left to do: it waits until the inputs
are visible, runs the commands (those of a group in their order), and writes the benchmark files. Which jobs get a
ticket is decided in stemma/workflow/ticketing.py.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

from stemma.base.digest import canonical, read_json, write_atomically
from stemma.base.errors import StemmaError
from stemma.base.files import PARENT
from stemma.base.typed_json import made
from stemma.store.open_beneath import RESULTS
from stemma.store.placement import fresh

TICKETS = Path("results/.records/tickets")
STRICT = "set -euo pipefail; "  # how Snakemake itself begins each command
SUFFIX = ".ticket"  # pointers end in .json, so no search for them reads these
STEP = "STEMMA_STEP"
IDENTITY = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_ARRAY", "SLURM_CLUSTER_NAME", "SLURM_SUBMIT", "SLURM_RESTART_COUNT")
CLIENTS = ("SLURM_", "SRUN_", "SBATCH_")
COLUMNS = ("s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "mean_load", "cpu_time")
LOOK = 0.5  # seconds between two checks for a file


@dataclass(frozen=True)
class Task:
    """One job: its shell line, the files that must be visible before, its benchmark file, its threads."""

    command: str
    inputs: list[str]
    benchmark: str | None
    threads: int


@dataclass(frozen=True)
class Ticket:
    """`layers`: a group's jobs, each layer after the one before; a single job is the one of the only layer. `threads`:
    how many they may use together. `latency`: seconds that a file may take to appear. `root`: the repository's
    directory. `step`: inside a Slurm allocation, the words that start the job: those of srun, or `env` if the job calls
    srun."""

    directory: str
    root: str
    shell: str
    layers: list[list[Task]]
    threads: int
    latency: float
    step: list[str]

    def write(self, path: Path) -> None:
        """Write it where the node will look for it."""
        write_atomically(path, canonical(asdict(self)))


def read(path: Path, patience: float) -> Ticket:
    """Read a ticket. Raises StemmaError where it does not appear within `patience` seconds or is damaged."""
    wait_for([path], patience, "the snakemake that submitted this job has ended since; run again")
    ticket = made(Ticket, read_json(path))
    if ticket is None:
        raise StemmaError(f"{path} is damaged; run snakemake again")
    return ticket


def work(ticket: Ticket, path: Path) -> int:
    """Do the ticket's jobs; return 0, or the exit status of one that failed, after which no further layer begins."""
    os.chdir(ticket.directory)
    running, own = Running(), {"PYTHONPATH": ticket.root, "STEMMA_ROOT": ticket.root, PARENT: str(os.getpid())}
    own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if ticket.step and STEP not in os.environ:
        again = [*ticket.step, sys.executable, "-m", "stemma", "job", str(path)]
        return running.run(again, in_allocation() | own | {STEP: "1"})[0]
    environment = os.environ | own
    for layer in ticket.layers:
        abreast = max(1, ticket.threads // max(task.threads for task in layer))
        with ThreadPoolExecutor(abreast) as pool:
            statuses = list(pool.map(lambda task: do(ticket, task, running, environment), layer))
        if any(statuses):
            return next(filter(None, statuses))
    return 0


def do(ticket: Ticket, task: Task, running: "Running", environment: dict[str, str]) -> int:
    """Do one job; return its exit status."""
    wait_for(map(Path, task.inputs), ticket.latency, "it was there when this job was submitted; see the file system")
    begun = time.monotonic()
    status, usage = running.run([ticket.shell, "-c", f"{STRICT}{task.command}"], environment)
    if task.benchmark and usage and not status:
        write_benchmark(Path(task.benchmark), time.monotonic() - begun, usage)
    return status


def wait_for(files: Iterable[Path], seconds: float, otherwise: str) -> None:
    """Raise StemmaError unless all files appear within some seconds; `otherwise` ends the message."""
    end = time.monotonic() + seconds
    for file in files:
        while not file.exists():
            if time.monotonic() > end:
                raise StemmaError(f"{file} does not show within {seconds:.0f} s; {otherwise}")
            time.sleep(LOOK)


def in_allocation() -> dict[str, str]:
    """Return the environment without variables that Slurm's commands take options from: an allocation's options are not
    those of a step. The variables that identify the allocation stay."""
    kept = (name for name in os.environ if name.startswith(IDENTITY) or not name.startswith(CLIENTS))
    return {name: os.environ[name] for name in kept}


def write_benchmark(path: Path, seconds: float, usage: resource.struct_rusage) -> None:
    """Write a benchmark file in Snakemake's format with what the kernel has counted: seconds, megabytes, else NA."""
    cpu = usage.ru_utime + usage.ru_stime
    known = {
        "s": f"{seconds:.4f}",
        "h:m:s": str(timedelta(seconds=int(seconds))),
        "max_rss": f"{usage.ru_maxrss / 1024:.2f}",
        "mean_load": f"{100 * cpu / max(seconds, 1e-9):.2f}",
        "cpu_time": f"{cpu:.2f}",
    }
    text = "\t".join(COLUMNS) + "\n" + "\t".join(known.get(name, "NA") for name in COLUMNS) + "\n"
    if path.parts[0] != RESULTS:
        write_atomically(path, text.encode())
        return
    with fresh(path) as file:  # through no link
        file.write(text)


@dataclass
class Running:
    """The processes that run now. SIGTERM, SIGINT and SIGUSR1 are forwarded to them; after that no further one
    starts."""

    processes: set[int] = field(default_factory=set)
    told: int = 0

    def __post_init__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self.pass_on)

    def pass_on(self, number: int, frame: object) -> None:
        """Forward a signal: the handler."""
        self.told = number
        for process in list(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def run(self, command: list[str], environment: dict[str, str]) -> tuple[int, resource.struct_rusage | None]:
        """Run a command to its end; return its exit status as a shell gives it, and its resource usage with its
        children's."""
        if self.told:
            return 128 + self.told, None
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        self.processes.add(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        self.processes.discard(process.pid)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code, usage
