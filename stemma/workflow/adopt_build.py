"""Makes what a run of Snakemake asks for the build of its directory (stemma/provenance/standing_build.py): when its
first job starts, or when there is nothing to be done. What does not belong to the build leaves results/ when the run is
complete."""

import logging
from collections.abc import Callable
from pathlib import Path

from snakemake.common import NOTHING_TO_BE_DONE_MSG

from stemma.planning.expected_keys import Keys
from stemma.provenance import standing_build
from stemma.provenance.trust import Records
from stemma.workflow.rules import ENGINE, RulePlan
from stemma.workflow.sweep_results import let_leave


def keep_build(dag, plan: RulePlan, keys: Keys, default: str | None) -> None:
    """Record what the jobs of a DAG are to make. `default`: the rule whose inputs a complete run asks for."""
    jobs = [plan.of(job) for job in dag.jobs if ENGINE in (job.rule.shellcmd or "")]
    asked = {path: keys.expected(job) for job in jobs for _, path in job.outputs}
    standing_build.keep(asked, complete=bool(default) and goals(plan, dag.workflow.get_rule(default)) <= asked.keys())


def goals(plan: RulePlan, rule) -> set[str]:
    """Return what a rule without wildcards makes or, if it makes nothing, gathers; sources are left out."""
    job = plan.job(rule, {})
    return {path for _, path in job.outputs or job.inputs if plan.rule_of(path)}


def settle(workflow) -> list[str]:
    """After a complete run: clear results/ of what is not of the build. Returns the names of what was removed."""
    attached, found = workflow.attached, standing_build.here()
    if found is None or found.settled or not found.complete:
        return []
    records = Records.of(attached.settings)
    return let_leave(found, records, lambda path, expected: would_make(attached.keys, path, expected))


def would_make(keys: Keys, path: Path, expected: str) -> bool:
    """Would this config make a path under this expected key? If a rule's function fails for the path, it would not."""
    try:
        job = keys.plan.maker(str(path))
        return job is not None and keys.expected(job) == expected
    except Exception:
        return False


class Idle(logging.Handler):
    """Calls `act` when Snakemake logs that nothing is to be done: no job starts then, and no other hook is called."""

    def __init__(self, act: Callable[[], None]):
        super().__init__()
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == NOTHING_TO_BE_DONE_MSG:
            self.act()
