"""What a workflow wants: for every path, the job that makes it. Kept from the last build, so that questions about it
need not read the workflow again: that takes Snakemake a second, most of it to load itself.

A kept plan counts while every file that reading the workflow depends on is as it was (size, time, inode): the
Snakefile, what it includes with all that lies beside that, the config files, the engine's own code. Else the workflow
is read anew, by stemma/load.py. Of builds before the last only the calls are kept, with what each was the last to want.
Knows nothing of Snakemake; the plan that its rules make is stemma/rules.py.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from stemma import digest
from stemma.artifact import MANIFEST
from stemma.call import Call
from stemma.settings import ROOT

KEPT, CALLS = Path("results/.records/plan.json"), Path("results/.records/calls.json")


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
    jobs = list(jobs)
    value = {"call": asdict(call), "stamps": stamps(files), "jobs": [asdict(job) for job in jobs]}
    digest.write_atomically(KEPT, digest.canonical(value))
    keep_call(call, [path for job in jobs for _, path in job.outputs])


def keep_call(call: Call, paths: Iterable[str]) -> None:
    """Remember who asked last for each path; a call that was the last for none is forgotten."""
    kept = digest.read_json(CALLS) or {"calls": [], "last_for": {}}
    calls = [*kept["calls"], asdict(call)]
    last_for = kept["last_for"] | dict.fromkeys(paths, len(calls) - 1)
    used = sorted({calls.index(calls[number]) for number in last_for.values()})
    numbers = {path: used.index(calls.index(calls[number])) for path, number in last_for.items()}
    value = {"calls": [calls[number] for number in used], "last_for": numbers}
    if value != kept:
        digest.write_atomically(CALLS, digest.canonical(value))


def call_for(target: str) -> Call | None:
    """How the build was called that was the last here to want a path, or the manifest of a directory; for what none has
    wanted, the last build."""
    known = digest.read_json(CALLS)
    last_for = known["last_for"] if known else {}
    number = last_for.get(target, last_for.get(f"{target}/{MANIFEST}"))
    last = digest.read_json(KEPT)
    call = known["calls"][number] if number is not None else last and last["call"]
    return Call.of_json(call) if call else None


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
