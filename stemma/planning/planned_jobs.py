"""The plan: for every path a workflow wants, the job that makes it. The last build's plan is cached, so that questions
about it need not read the workflow again, which takes Snakemake a second, most of it to load itself.

A cached plan is valid while every file that reading the workflow depends on has its old stamp (size, times, inode): the
Snakefile, included files and all files beside them, the config files, the engine's code. Otherwise the workflow is read
again by stemma/workflow/load.py. Of earlier builds only the calls are kept, with the paths that each was the last to
want. Snakemake's own rules are turned into a plan by stemma/workflow/rules.py.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from stemma.base import digest
from stemma.base.files import stamp_of
from stemma.base.settings import ROOT
from stemma.base.typed_json import made
from stemma.planning.call import Call
from stemma.store.artifact import MANIFEST

KEPT, CALLS = Path("results/.records/plan.json"), Path("results/.records/calls.json")


@dataclass(frozen=True)
class Wanted:
    """One job: its rule, its script (None: a view, which the engine itself writes), the script's params, (argument,
    path) of each input and output, its threads, and the rest of its shell line (stemma/planning/job_hash.py)."""

    rule: str
    script: str | None
    params: dict[str, object]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    threads: int
    shell: str

    @property
    def place(self) -> str:
        """The first output, which identifies the job."""
        return self.outputs[0][1]


@dataclass(frozen=True)
class Kept:
    """A plan as it is cached: how the workflow was called, the stamps of the files it depended on, its jobs."""

    call: Call
    stamps: dict[str, list[int]]
    jobs: list[Wanted]


@dataclass(frozen=True)
class Calls:
    """The calls of past builds, and for each wanted path the index of the last call that wanted it."""

    calls: list[Call]
    last_for: dict[str, int]


class Plan(Protocol):
    """Answers which job makes a path."""

    def maker(self, path: str) -> Wanted | None:
        """Return the job that makes a path; None for a source."""


class KeptPlan:
    """The cached jobs of one build; each job's ancestors are among them."""

    def __init__(self, jobs: Iterable[Wanted]):
        self.makers = {path: job for job in jobs for _, path in job.outputs}

    def maker(self, path: str) -> Wanted | None:
        """Return the job that makes a path; None for a source, or for another build's artifact."""
        return self.makers.get(path)


def keep(call: Call, files: Iterable[Path], jobs: Iterable[Wanted]) -> None:
    """Cache a plan. `files`: those that Snakemake has read."""
    jobs = list(jobs)
    digest.write_atomically(KEPT, digest.canonical(asdict(Kept(call, stamps(files), jobs))))
    keep_call(call, [path for job in jobs for _, path in job.outputs])


def keep_call(call: Call, paths: Iterable[str]) -> None:
    """Remember which call last wanted each path; a call that is the last for none is dropped."""
    kept = kept_calls()
    calls = [*kept.calls, call]
    last_for = kept.last_for | dict.fromkeys(paths, len(calls) - 1)
    used = sorted({calls.index(calls[number]) for number in last_for.values()})
    numbers = {path: used.index(calls.index(calls[number])) for path, number in last_for.items()}
    now = Calls([calls[number] for number in used], numbers)
    if now != kept:
        digest.write_atomically(CALLS, digest.canonical(asdict(now)))


def kept_calls() -> Calls:
    """Return the remembered calls; none where the file is missing or malformed."""
    kept = made(Calls, digest.read_json(CALLS))
    if kept is None or not all(0 <= number < len(kept.calls) for number in kept.last_for.values()):
        return Calls([], {})
    return kept


def call_for(target: str) -> Call | None:
    """Return the last call here that wanted a path (or the manifest of the directory that it is); if none did, the last
    build's."""
    known = kept_calls()
    number = known.last_for.get(target, known.last_for.get(f"{target}/{MANIFEST}"))
    if number is not None:
        return known.calls[number]
    last = made(Kept, digest.read_json(KEPT))
    return last.call if last else None


def kept_plan(call: Call) -> KeptPlan | None:
    """Return the plan of the last build, if it was called like this and the workflow's files have not changed since."""
    kept = made(Kept, digest.read_json(KEPT))
    if kept is None or kept.call != call:
        return None
    try:
        now = stamps(map(Path, kept.stamps))
    except (OSError, ValueError):  # a file is gone, or a name is no path
        return None
    return KeptPlan(kept.jobs) if now == kept.stamps else None


def stamps(files: Iterable[Path]) -> dict[str, list[int]]:
    """Return the stamps (size, times, inode) of files, of all files beside included .smk files, and of the engine's
    modules."""
    files = set(files)
    folders = {file.parent for file in files if file.suffix == ".smk"}
    files |= {file for folder in folders for file in folder.iterdir() if file.is_file()}
    return {str(file): stamp_of(file.stat()) for file in sorted({*files, *(ROOT / "stemma").rglob("*.py")})}
