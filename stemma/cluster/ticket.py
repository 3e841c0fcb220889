"""What a job that is submitted elsewhere takes along: its command line as it was when it was submitted, and no more.

Snakemake sends a whole snakemake to the node, which reads the workflow again, by then perhaps another one: who edits a
config while jobs wait would get jobs of the new config under keys that are half of the old. And it takes 2 s of CPU, on
Slurm twice. `python -m stemma job TICKET` does on the node what is left to do: wait until the inputs show, run the
commands, a group's in their order, write the benchmark files. stemma/workflow/ticketing.py decides what goes to a node
so.
"""

import contextlib
import os
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

TICKETS = Path("results/.records/tickets")
SUFFIX = ".ticket"  # pointers end in .json: no search for them reads these
STEP = "STEMMA_STEP"
IDENTITY = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_ARRAY", "SLURM_CLUSTER_NAME", "SLURM_SUBMIT", "SLURM_RESTART_COUNT")
CLIENTS = ("SLURM_", "SRUN_", "SBATCH_")
COLUMNS = ("s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "mean_load", "cpu_time")
LOOK = 0.5  # seconds between two looks for a file


@dataclass(frozen=True)
class Task:
    """One job: the shell line to run, the files that must show before, its benchmark file, its threads."""

    command: str
    inputs: list[str]
    benchmark: str | None
    threads: int


@dataclass(frozen=True)
class Ticket:
    """`layers`: a group's jobs, each layer after the one before; a job by itself is the one of the only layer.
    `threads`: how many they may take together. `latency`: seconds that a file may take to show. `root`: of the
    repository. `step`: in an allocation of Slurm's the words that start the job: of srun, or `env` if it calls that."""

    directory: str
    root: str
    shell: str
    layers: list[list[Task]]
    threads: int
    latency: float
    step: list[str]

    def write(self, path: Path) -> None:
        """Put it where the node will look for it."""
        write_atomically(path, canonical(asdict(self)))


def read(path: Path, patience: float) -> Ticket:
    """As it was written. Raises StemmaError where it does not show within `patience` seconds."""
    wait_for([path], patience, "the snakemake that submitted this job has ended since; run again")
    value = read_json(path)
    if value is None:
        raise StemmaError(f"{path} is damaged; run snakemake again")
    return Ticket(**value | {"layers": [[Task(**task) for task in layer] for layer in value["layers"]]})


def work(ticket: Ticket, path: Path) -> int:
    """Do the ticket's jobs: 0, or the exit status of one that failed; then no further layer begins."""
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
    """One job: its exit status."""
    wait_for(map(Path, task.inputs), ticket.latency, "it was there when this job was submitted; see the file system")
    begun = time.monotonic()
    status, usage = running.run([ticket.shell, "-c", f"set -euo pipefail; {task.command}"], environment)
    if task.benchmark and not status:
        write_benchmark(Path(task.benchmark), time.monotonic() - begun, usage)
    return status


def wait_for(files: Iterable[Path], seconds: float, otherwise: str) -> None:
    """Raise StemmaError unless all files show within some seconds."""
    end = time.monotonic() + seconds
    for file in files:
        while not file.exists():
            if time.monotonic() > end:
                raise StemmaError(f"{file} does not show within {seconds:.0f} s; {otherwise}")
            time.sleep(LOOK)


def in_allocation() -> dict[str, str]:
    """The environment without what Slurm's commands take options from: those of the allocation are not those of a step.
    Of the allocation its identity stays."""
    kept = (name for name in os.environ if name.startswith(IDENTITY) or not name.startswith(CLIENTS))
    return {name: os.environ[name] for name in kept}


def write_benchmark(path: Path, seconds: float, usage: object) -> None:
    """One line as Snakemake writes it, as far as the kernel has counted: seconds, megabytes."""
    cpu = usage.ru_utime + usage.ru_stime
    known = {
        "s": f"{seconds:.4f}",
        "h:m:s": str(timedelta(seconds=int(seconds))),
        "max_rss": f"{usage.ru_maxrss / 1024:.2f}",
        "mean_load": f"{100 * cpu / max(seconds, 1e-9):.2f}",
        "cpu_time": f"{cpu:.2f}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\t".join(COLUMNS) + "\n" + "\t".join(known.get(name, "NA") for name in COLUMNS) + "\n")


@dataclass
class Running:
    """The processes that run now. SIGTERM, SIGINT and SIGUSR1 are passed on to them; after that none begins."""

    processes: set[int] = field(default_factory=set)
    told: int = 0

    def __post_init__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self.pass_on)

    def pass_on(self, number: int, frame: object) -> None:
        """What the handler of a signal does."""
        self.told = number
        for process in list(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def run(self, command: list[str], environment: dict[str, str]) -> tuple[int, object]:
        """Run a command to its end: its exit status as a shell gives it, and what it and its children have used."""
        if self.told:
            return 128 + self.told, None
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        self.processes.add(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        self.processes.discard(process.pid)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code, usage
