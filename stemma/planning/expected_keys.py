"""Computes expected keys: what a target should be made of, known from the plan before anything runs."""

from pathlib import Path

from stemma.base.digest import SOURCES, StatCache
from stemma.code import numeric
from stemma.code.closure import Closure, closure_of
from stemma.planning.job_hash import key_of
from stemma.planning.planned_jobs import Plan, Wanted

# The closure of a view, which the engine itself writes: only its inputs make it stale.
NO_CODE = Closure({}, {}, {}, {}, {})


class Keys:
    """Expected keys of a plan's targets, memoised: each source is read once in the life of this object.

    The hash is stemma/planning/job_hash.py. An input enters by its expected key, a source by its digest, the hardware
    by the numeric mode.
    """

    def __init__(self, plan: Plan, root: Path, mode: str):
        self.plan = plan
        self.root = root
        self.mode = mode
        self.known: dict[str, tuple[Wanted, str]] = {}
        self.sources = StatCache(SOURCES)
        self.measured: dict[str, str] = {}

    def expected(self, job: Wanted) -> str:
        """Return the expected key of a job."""
        if job.place not in self.known:
            closure = self.closure(job)
            inputs = [(name, path, self.of_path(path)) for name, path in self.in_order(job)]
            mode = numeric.mode_of(closure, self.mode)
            key = key_of(closure, job.params, inputs, job.outputs, job.threads, job.shell, mode)
            self.known[job.place] = job, key
        return self.known[job.place][1]

    def in_order(self, job: Wanted) -> list[tuple[str, str]]:
        """Return (argument, path) of each input, artifacts before sources, in the order that the script gets them."""
        return sorted(job.inputs, key=lambda item: self.plan.maker(item[1]) is None)

    def closure(self, job: Wanted) -> Closure:
        """Return the closure of the job's script."""
        return closure_of(Path(job.script), self.root) if job.script else NO_CODE

    def of_path(self, path: str) -> str:
        """Return the expected key of an artifact, or the content digest of a source."""
        job = self.plan.maker(path)
        if job:
            return self.expected(job)
        if path not in self.measured:
            self.measured[path] = self.sources.digest(Path(path))
        return self.measured[path]
