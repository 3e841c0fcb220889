"""What a run of Snakemake asks for becomes the build of its directory (stemma/provenance/standing_build.py) when its
first job starts, or when there is nothing to be done; what is not of it leaves results/ when the run has come to its
end."""

import logging
from collections.abc import Callable
from pathlib import Path

from snakemake.common import NOTHING_TO_BE_DONE_MSG

from stemma.planning.expected_keys import Keys
from stemma.provenance import standing_build
from stemma.provenance.trust import Records
from stemma.workflow.rules import ENGINE
from stemma.workflow.sweep_results import let_leave


def keep_build(dag, keys: Keys, default: str | None) -> None:
    """Say what the jobs of a DAG are to make. `default`: the rule whose inputs a complete run asks for."""
    jobs = [keys.plan.of(job) for job in dag.jobs if ENGINE in (job.rule.shellcmd or "")]
    asked = {path: keys.expected(job) for job in jobs for _, path in job.outputs}
    standing_build.keep(asked, complete=bool(default) and goals(keys, dag.workflow.get_rule(default)) <= asked.keys())


def goals(keys: Keys, rule) -> set[str]:
    """What a rule without wildcards makes, or gathers where it makes nothing; sources left out."""
    job = keys.plan.job(rule, {})
    return {path for _, path in job.outputs or job.inputs if keys.plan.rule_of(path)}


def settle(workflow) -> list[str]:
    """Once all that was asked for stands, and it was all that there is to ask for: clear results/ of what is not of the
    build. Returns the names of what has left."""
    attached, found = workflow.attached, standing_build.here()
    if found is None or found.settled or not found.complete:
        return []
    return let_leave(Records.of(attached.settings), lambda path, expected: would_make(attached.keys, path, expected))


def would_make(keys: Keys, path: Path, expected: str) -> bool:
    """Does this config make a path just so? A rule's functions may fail for what it does not have, whichever way."""
    try:
        job = keys.plan.maker(str(path))
        return job is not None and keys.expected(job) == expected
    except Exception:
        return False


class Idle(logging.Handler):
    """Hears that there is nothing to be done, and does what else there is: no job starts then, and Snakemake calls
    nobody."""

    def __init__(self, act: Callable[[], None]):
        super().__init__()
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == NOTHING_TO_BE_DONE_MSG:
            self.act()
