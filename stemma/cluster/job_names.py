"""Name Slurm jobs by what they are for, `clean:clean/jargon`, in squeue and in messages.

The executor gives all jobs of a run one name and asks for them by it. Here each has its own, and it is asked for all
jobs of this user, which is less work for Slurm; for the efficiency report, for those that were submitted. Reaches into
snakemake-executor-plugin-slurm (2.8); tests/cluster/test_names.py.
"""

import os
import re
import subprocess
import sys
from typing import Any

from snakemake_executor_plugin_slurm import efficiency_report

from stemma.base.patches import put
from stemma.cluster.job_log import members, target_of

COLUMNS = "JobID,JobName,Comment,Elapsed,TotalCPU,NNodes,NCPUS,MaxRSS,ReqMem"  # of the efficiency report
FOREIGN = re.compile(r"[^\w.:/=+-]")


def name_jobs(executor_class: Any) -> None:
    """Patch how the executor names jobs, and how it asks for them."""
    plugin: Any = sys.modules[executor_class.__module__]
    numbers: list[str] = []
    command, report = plugin.get_submit_command, executor_class.report_job_submission

    def get_submit_command(job, params, settings=None, **options) -> str:
        words = [settings.jobname_prefix, params.get("name") or name_of(job)]
        return command(job, params | {"run_uuid": "_".join(filter(None, words))}, settings=settings, **options)

    def report_job_submission(self, info, **options) -> None:
        numbers.append(info.external_jobid)
        report(self, info, **options)

    def of_this_user(query):
        return lambda run: query(run).replace(f"--name {run}", f"--user {os.getuid()}")

    put(plugin, "plugin.get_submit_command", get_submit_command)
    put(executor_class, "Executor.report_job_submission", report_job_submission)
    put(plugin, "plugin.query_job_status_squeue", of_this_user(plugin.query_job_status_squeue))
    put(plugin, "plugin.query_job_status_sacct", of_this_user(plugin.query_job_status_sacct))
    put(efficiency_report, "efficiency_report.get_sacct_data", lambda run, logger: accounted(numbers))


def name_of(job) -> str:
    """Return rule, or group, and the place of the first output."""
    place = target_of(members(job)[0]).removeprefix("results/")
    return FOREIGN.sub("_", f"{job.name}:{place}")


def accounted(numbers: list[str]) -> list[str] | None:
    """Return what accounting says of some jobs, a line for each job and each of its steps; None if it says nothing."""
    call = ["sacct", f"--jobs={','.join(numbers)}", "--parsable2", "--noheader", f"--format={COLUMNS}"]
    done = subprocess.run(call, capture_output=True, text=True, check=False) if numbers else None
    return done.stdout.splitlines() or None if done else None
