"""Submits Slurm job arrays for the rules that `--slurm-array-jobs` names: many jobs by one sbatch.

They replace the arrays of snakemake-executor-plugin-slurm 2.8. There each task runs the first task's snakemake around
its own job: it waits for the first task's output, and removes it when its own job fails. Those arrays also wait for
ever for jobs that `--jobs` keeps from being chosen. Here a task runs what its job would run alone, and jobs that are
ready are submitted at once. Tests: tests/cluster/test_arrays.py.
"""

import subprocess
import sys
from collections.abc import Iterator

from stemma.base.patches import put


def fill_arrays(executor_class: type) -> None:
    """Replace the executor's method that submits several jobs of a rule."""
    plugin = sys.modules[executor_class.__module__]

    def run_array_jobs(self, jobs: list) -> None:
        for call, alike in by_command(self, plugin, jobs):
            for start in range(0, len(alike), self.max_array_size):
                submit(self, plugin, call, alike[start : start + self.max_array_size])

    put(plugin, "plugin.pending_jobs_for_rule", lambda dag, rule: 0)  # there is nothing to wait for
    put(executor_class, "Executor.run_array_jobs", run_array_jobs)


def by_command(executor, plugin, jobs: list) -> Iterator[tuple[str, list]]:
    """Group jobs by their sbatch command: later attempts ask for more, or avoid a node. A job whose command cannot be
    made is submitted alone."""
    alike: dict[str, list] = {}
    for job in jobs:
        try:
            alike.setdefault(command(executor, plugin, job), []).append(job)
        except Exception:  # run_job meets the same error and reports it
            alone(executor, [job])
    yield from alike.items()


def command(executor, plugin, job) -> str:
    """Return sbatch and its options, as the executor composes them for one job."""
    plugin.validate_slurm_extra(job)
    params = {
        "run_uuid": executor.run_uuid,
        "name": job.name,  # tasks of an array have one
        "slurm_logfile": executor.slurm_logdir / f"rule_{job.name}" / "%A_%a.log",
        "comment_str": f"rule_{job.name}",
        "account": next(executor.get_account_arg(job)),
        "partition": executor.get_partition_arg(job),
        "workdir": executor.workflow.workdir_init,
    }
    settings = executor.workflow.executor_settings
    return plugin.get_submit_command(job, params, settings=settings) + plugin.set_gres_string(job)


def submit(executor, plugin, call: str, jobs: list) -> None:
    """Submit one array or, if that is refused, its jobs one by one: some may be accepted, the others get a reason
    each."""
    if len(jobs) == 1:
        alone(executor, jobs)
        return
    logs = executor.slurm_logdir / f"rule_{jobs[0].name}"
    logs.mkdir(parents=True, exist_ok=True)
    tasks = [f"{task}) {executor.format_job_exec(job)} ;;" for task, job in enumerate(jobs, 1)]
    script = "\n".join(["#!/bin/sh", 'case "$SLURM_ARRAY_TASK_ID" in', *tasks, "esac", ""])
    call += f" --array=1-{len(jobs)} /dev/stdin"
    done = subprocess.run(call, shell=True, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        executor.logger.debug(f"sbatch refuses an array: {done.stderr}")
        alone(executor, jobs)
        return
    number = plugin.validate_or_get_slurm_job_id(done.stdout.strip().split(";")[0], done.stdout)
    for task, job in enumerate(jobs, 1):
        name, log = f"{number}_{task}", logs / f"{number}_{task}.log"
        executor.logger.info(f"Job {job.jobid} has been submitted with SLURM jobid {name} (log: {log}).")
        info = plugin.SubmittedJobInfo(job, external_jobid=name, aux={"slurm_logfile": log})
        executor._report_job_submission_threadsafe(info)


def alone(executor, jobs: list) -> None:
    """Submit jobs without an array."""
    for job in jobs:
        executor._job_submission_executor.submit(executor.run_job, job)
