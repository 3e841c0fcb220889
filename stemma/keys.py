"""Expected keys: what a target should be made of, known from a plan before anything runs. Executes nothing."""

from pathlib import Path

from stemma import digest, numeric
from stemma.closure import Closure, closure_of
from stemma.digest import SOURCES, StatCache
from stemma.plan import Plan, Wanted

NO_CODE = Closure({}, {}, {}, {}, {})  # of a view, which the engine itself writes: only its inputs make it stale


class Keys:
    """Expected keys of a plan's targets, memoised for one reading of the sources.

    expected(job) = H(closure of its script, its params, expected keys of its inputs or digests of sources, mode).
    """

    def __init__(self, plan: Plan, root: Path, mode: str):
        self.plan = plan
        self.root = root
        self.mode = mode
        self.known: dict[str, tuple[Wanted, str]] = {}
        self.sources = StatCache(SOURCES)

    def expected(self, job: Wanted) -> str:
        """The expected key of a job."""
        if job.place not in self.known:
            closure = self.closure(job)
            inputs: dict[str, list[str]] = {}
            for name, path in job.inputs:
                inputs.setdefault(name, []).append(self.of_path(path))
            parts = [closure.key, job.params, inputs, numeric.mode_of(closure, self.mode)]
            self.known[job.place] = job, digest.of_value(parts)
        return self.known[job.place][1]

    def closure(self, job: Wanted) -> Closure:
        """The closure of the job's script."""
        return closure_of(Path(job.script), self.root) if job.script else NO_CODE

    def of_path(self, path: str) -> str:
        """Expected key of an artifact, content digest of a source."""
        job = self.plan.maker(path)
        return self.expected(job) if job else self.sources.digest(Path(path))
