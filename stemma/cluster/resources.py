"""Prepares a build on a cluster: memory that grows with attempts, leftover jobs ended, the executor patched.

A rule's `mem_mb` is what its script needs. Around it run the processes that Snakemake starts on a node, and a job that
was killed for lack of memory gets more of it next time. Profiles do the same for `runtime`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from stemma.base.errors import StemmaError, warn
from stemma.cluster.arrays import fill_arrays
from stemma.cluster.markers import users_here
from stemma.cluster.polling import ask_in_proportion
from stemma.cluster.slurm import SlurmJob, Unanswered, cancel, jobs_of, largest_node_mb
from stemma.cluster.submission import watch_submission
from stemma.cluster.waiting import watch_queue

LOGS = Path(".snakemake/slurm_logs")  # made by the executor at its first submission
ENDING = 180.0  # seconds: the cluster's KillWait (30 as a rule), and time for a trainer to save what it did
POLL = 1.0
TICKET_MB = 150  # who reads the ticket, twice, and the runner, measured: 31, 21 and 27 MB resident, some of it shared
NESTED_MB = 400  # two snakemakes and the runner: 150, 150 and 27 MB


def adapt_resources(workflow) -> None:
    """Give each rule a `mem_mb` that grows with attempts. A value that a profile computes stays as it is."""
    for rule in workflow.rules:
        memory = rule.resources.get("mem_mb")
        if memory is not None and not memory.is_evaluable() and memory.value is not None:
            rule.resources["mem_mb"] = growing(memory.value, workflow)


def growing(declared: int, workflow) -> Callable:
    """Return the memory function of one rule. Only a first attempt may exceed the largest node: Slurm then refuses
    it."""

    def mem_mb(wildcards, attempt):
        first = declared + (0 if workflow.local_exec else around(workflow))
        if attempt == 1 or workflow.local_exec:
            return first
        return max(first, min(first * attempt, largest_node_mb()))

    return mem_mb


def around(workflow) -> int:
    """Megabytes for what runs around a script on a node."""
    return NESTED_MB if workflow.deployment_settings.deployment_method else TICKET_MB


def slurm_executor(workflow) -> type | None:
    """Return the class that submits to Slurm; None if jobs are not submitted there."""
    plugin = workflow.executor_plugin
    return plugin.executor if plugin is not None and plugin.name == "slurm" else None


def lead(executor_class: type) -> None:
    """Patch the Slurm executor where it would wait in vain, stay silent or harm a job."""
    from stemma.cluster.job_names import name_jobs  # the executor's plugin, which no other build loads

    name_jobs(executor_class)
    ask_in_proportion(executor_class)
    watch_submission(executor_class)
    fill_arrays(executor_class)
    watch_queue(executor_class)


def end_leftovers(directory: Path, on_slurm: bool) -> None:
    """End the Slurm jobs that an earlier snakemake of this directory left behind when it was killed.

    Two jobs of one target would remove each other's outputs. Little is lost: what they finished is in the store, and
    pretraining saves its progress. Raises StemmaError where they do not end, or where Slurm is needed and does not
    answer.
    """
    if not on_slurm and not LOGS.is_dir():
        return
    try:
        left = living(directory)
        if not left:
            return
        others = [job for job in left if job.uid != str(os.getuid())]
        if others:
            raise StemmaError(
                f"{named(others)} of another user (uid {others[0].uid}) are at work in this directory; "
                "wait for them, or have them cancelled, then run again"
            )
        warn(
            f"{named(left)} that an earlier snakemake left here will be ended first; "
            "what they finished or kept is not lost"
        )
        cancel([job.number for job in left])
        end = time.monotonic() + ENDING
        while left := living(directory):
            if time.monotonic() > end:
                raise StemmaError(f"{named(left)} of this directory do not end; see squeue, then run again")
            time.sleep(POLL)
    except Unanswered as reason:
        if on_slurm:
            raise StemmaError(f"Slurm does not answer ({reason}); see that `sinfo` works, then run again") from None
        warn(f"Slurm does not answer ({reason}): see that no job of an earlier snakemake is still at work here")


def living(directory: Path) -> list[SlurmJob]:
    """Return this directory's Slurm jobs that run or wait."""
    return [job for job in jobs_of(directory, users_here()) if job.is_alive]


def named(jobs: list[SlurmJob]) -> str:
    """Format how many jobs there are, and which."""
    return f"{len(jobs)} Slurm job{'s' * (len(jobs) > 1)} ({' '.join(job.number for job in jobs)})"
