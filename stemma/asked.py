"""What a run of Snakemake asks for becomes the build of its directory (stemma/build.py) when its first job starts, or
when there is nothing to be done."""

import logging

from snakemake.common import NOTHING_TO_BE_DONE_MSG

from stemma import build
from stemma.files import where_writable
from stemma.keys import Keys
from stemma.rules import ENGINE


def keep_build(dag, keys: Keys, default: str | None) -> None:
    """Say what the jobs of a DAG are to make. `default`: the rule whose inputs a complete run asks for."""
    jobs = [keys.plan.of(job) for job in dag.jobs if ENGINE in (job.rule.shellcmd or "")]
    asked = {path: keys.expected(job) for job in jobs for _, path in job.outputs}
    build.keep(asked, complete=bool(default) and goals(keys, dag.workflow.get_rule(default)) <= asked.keys())


def goals(keys: Keys, rule) -> set[str]:
    """What a rule without wildcards makes, or gathers where it makes nothing; sources left out."""
    job = keys.plan.job(rule, {})
    return {path for _, path in job.outputs or job.inputs if keys.plan.maker(path)}


class Idle(logging.Handler):
    """Hears that there is nothing to be done: no job starts then, and Snakemake calls nobody."""

    def __init__(self, workflow):
        super().__init__()
        self.workflow = workflow

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == NOTHING_TO_BE_DONE_MSG and not self.workflow.dryrun:
            with where_writable():
                keep_build(self.workflow.dag, self.workflow.attached.keys, self.workflow.default_target)
