"""What a workflow wants: for every path, the job that makes it. Kept from the last build, so that questions about it
need not read the workflow again: that takes Snakemake a second, most of it to load itself.

A kept plan counts while every file that reading the workflow depends on is as it was (size, time, inode): the
Snakefile, what it includes with all that lies beside that, the config files, the engine's own code. Else the workflow
is read anew, by stemma/load.py.
Knows nothing of Snakemake; the plan that its rules make is stemma/rules.py.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from stemma import digest
from stemma.call import Call
from stemma.settings import ROOT

KEPT = Path("results/.records/plan.json")


@dataclass(frozen=True)
class Wanted:
    """One job: its rule, its script (None: a view, which the engine itself writes), the script's params, (argument,
    path) of each input and output, its threads, and what else stands in its shell line (stemma/recipe.py)."""

    rule: str
    script: str | None
    params: dict
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    threads: int
    shell: str

    @property
    def place(self) -> str:
        """What tells it from every other job: its first output."""
        return self.outputs[0][1]


class Plan(Protocol):
    """Who makes what."""

    def maker(self, path: str) -> Wanted | None:
        """The job that makes a path; None for a source."""


class KeptPlan:
    """The jobs of a build as they were written down, and no others; each job's ancestors are among them."""

    def __init__(self, jobs: Iterable[Wanted]):
        self.makers = {path: job for job in jobs for _, path in job.outputs}

    def maker(self, path: str) -> Wanted | None:
        """The job that makes a path; None for a source, or for another build's artifact."""
        return self.makers.get(path)


def keep(call: Call, files: Iterable[Path], jobs: Iterable[Wanted]) -> None:
    """Write a plan down. `files`: those that Snakemake has read."""
    value = {"call": asdict(call), "stamps": stamps(files), "jobs": [asdict(job) for job in jobs]}
    digest.write_atomically(KEPT, digest.canonical(value))


def last_call() -> Call | None:
    """How the workflow of the last build here was called."""
    kept = digest.read_json(KEPT)
    return Call.of_json(kept["call"]) if kept else None


def kept_plan(call: Call) -> KeptPlan | None:
    """The plan of the last build, if it was called so and reading the workflow again would give the same."""
    kept = digest.read_json(KEPT)
    if kept is None or Call.of_json(kept["call"]) != call:
        return None
    files = {Path(file) for file in kept["stamps"]}
    if not all(file.is_file() for file in files) or stamps(files) != kept["stamps"]:
        return None
    return KeptPlan(map(wanted, kept["jobs"]))


def wanted(job: dict) -> Wanted:
    """A job as it was written."""
    files = (tuple(map(tuple, job[kind])) for kind in ("inputs", "outputs"))
    return Wanted(job["rule"], job["script"], job["params"], *files, job["threads"], job["shell"])


def stamps(files: Iterable[Path]) -> dict[str, str]:
    """Size, time and inode of files, of all beside them if they are no Snakefile, and of the engine's modules."""
    files = set(files)
    folders = {file.parent for file in files if file.suffix == ".smk"}
    files |= {file for folder in folders for file in folder.iterdir() if file.is_file()}
    return {str(file): stamp_of(file) for file in sorted({*files, *(ROOT / "stemma").rglob("*.py")})}


def stamp_of(file: Path) -> str:
    """What changes when a file is written."""
    stat = file.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ino}"
