"""What a workflow wants: for every path, the job that makes it. Kept from the last build, so that questions about it
need not read the workflow again: that takes Snakemake a second, most of it to load itself.

A kept plan counts while every file that reading the workflow depends on is as it was (size, times, inode): the
Snakefile, what it includes with all that lies beside that, the config files, the engine's own code. Else the workflow
is read anew, by stemma/workflow/load.py. Of builds before the last only the calls are kept, with what each was the last
to want. Knows nothing of Snakemake; the plan that its rules make is stemma/workflow/rules.py.
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
    path) of each input and output, its threads, and what else stands in its shell line
    (stemma/planning/job_hash.py)."""

    rule: str
    script: str | None
    params: dict[str, object]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    threads: int
    shell: str

    @property
    def place(self) -> str:
        """What tells it from every other job: its first output."""
        return self.outputs[0][1]


@dataclass(frozen=True)
class Kept:
    """A plan as it was written down: how the workflow was called, what that depended on, its jobs."""

    call: Call
    stamps: dict[str, list[int]]
    jobs: list[Wanted]


@dataclass(frozen=True)
class Calls:
    """Who asked for what: calls, and for each path that any of them wanted the number of the one that was the last."""

    calls: list[Call]
    last_for: dict[str, int]


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
    digest.write_atomically(KEPT, digest.canonical(asdict(Kept(call, stamps(files), jobs))))
    keep_call(call, [path for job in jobs for _, path in job.outputs])


def keep_call(call: Call, paths: Iterable[str]) -> None:
    """Remember who asked last for each path; a call that was the last for none is forgotten."""
    kept = kept_calls()
    calls = [*kept.calls, call]
    last_for = kept.last_for | dict.fromkeys(paths, len(calls) - 1)
    used = sorted({calls.index(calls[number]) for number in last_for.values()})
    numbers = {path: used.index(calls.index(calls[number])) for path, number in last_for.items()}
    now = Calls([calls[number] for number in used], numbers)
    if now != kept:
        digest.write_atomically(CALLS, digest.canonical(asdict(now)))


def kept_calls() -> Calls:
    """Who asked for what; nothing where that is not known."""
    kept = made(Calls, digest.read_json(CALLS))
    whole = kept is not None and all(0 <= number < len(kept.calls) for number in kept.last_for.values())
    return kept if whole else Calls([], {})


def call_for(target: str) -> Call | None:
    """How the build was called that was the last here to want a path, or the manifest of a directory; for what none has
    wanted, the last build."""
    known = kept_calls()
    number = known.last_for.get(target, known.last_for.get(f"{target}/{MANIFEST}"))
    if number is not None:
        return known.calls[number]
    last = made(Kept, digest.read_json(KEPT))
    return last.call if last else None


def kept_plan(call: Call) -> KeptPlan | None:
    """The plan of the last build, if it was called so and reading the workflow again would give the same."""
    kept = made(Kept, digest.read_json(KEPT))
    if kept is None or kept.call != call:
        return None
    try:
        now = stamps(map(Path, kept.stamps))
    except (OSError, ValueError):  # a file is gone, or what is named is none
        return None
    return KeptPlan(kept.jobs) if now == kept.stamps else None


def stamps(files: Iterable[Path]) -> dict[str, list[int]]:
    """Size, times and inode of files, of all beside them if they are no Snakefile, and of the engine's modules."""
    files = set(files)
    folders = {file.parent for file in files if file.suffix == ".smk"}
    files |= {file for folder in folders for file in folder.iterdir() if file.is_file()}
    return {str(file): stamp_of(file.stat()) for file in sorted({*files, *(ROOT / "stemma").rglob("*.py")})}
