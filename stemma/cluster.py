"""What a build on a cluster needs beyond one on this machine: more memory than a rule states, and a clean beginning.

A rule's `mem_mb` is what its script needs. Around it run the processes that Snakemake starts on a node, and a job that
was killed for want of memory gets more of it next time. Profiles do the same for `runtime`.
"""

import time
from collections.abc import Callable
from pathlib import Path

from stemma.errors import StemmaError, warn
from stemma.slurm import Unanswered, cancel, jobs_of, largest_node_mb

LOGS = Path(".snakemake/slurm_logs")  # the executor's own; there from its first submission on
ENDING = 180.0  # seconds: the cluster's KillWait (30 as a rule), and a trainer that keeps what it did
POLL = 1.0
NESTED_MB = 400  # two snakemakes and the runner, measured: 150, 150 and 25 MB resident, some of it shared


def grow_memory(workflow) -> None:
    """Each attempt of a job asks for its rule's `mem_mb` again. What is computed already stays as it is."""
    for rule in workflow.rules:
        declared = rule.resources.get("mem_mb")
        if declared is not None and not declared.is_evaluable() and declared.value is not None:
            rule.resources["mem_mb"] = growing(declared.value, workflow)


def growing(declared: int, workflow) -> Callable:
    """The resource function of one rule. Only a first attempt may ask for more than any node has: Slurm says so."""

    def mem_mb(wildcards, attempt):
        first = declared + (0 if workflow.local_exec else NESTED_MB)
        if attempt == 1 or workflow.local_exec:
            return first
        return max(first, min(first * attempt, largest_node_mb()))

    return mem_mb


def end_leftovers(directory: Path, on_slurm: bool) -> None:
    """End the Slurm jobs that an earlier snakemake of this directory left behind when it was killed.

    Two jobs of one target would remove each other's outputs. What they finished is in the store, and pretraining keeps
    what it did: little is lost. Raises StemmaError where they do not end, or where Slurm is needed and does not answer.
    """
    if not on_slurm and not LOGS.is_dir():
        return
    try:
        left = numbers_of_living(directory)
        if not left:
            return
        warn(
            f"{len(left)} Slurm job{'s' * (len(left) > 1)} that an earlier snakemake left here will be ended first "
            f"({' '.join(left)}); what they finished or kept is not lost"
        )
        cancel(left)
        end = time.monotonic() + ENDING
        while left := numbers_of_living(directory):
            if time.monotonic() > end:
                raise StemmaError(
                    f"Slurm jobs {' '.join(left)} of this directory do not end; see squeue, then run again"
                )
            time.sleep(POLL)
    except Unanswered as reason:
        if on_slurm:
            raise StemmaError(f"Slurm does not answer ({reason}); see that `sinfo` works, then run again") from None
        warn(f"Slurm does not answer ({reason}): see that no job of an earlier snakemake is still at work here")


def numbers_of_living(directory: Path) -> list[str]:
    """Ids of this directory's jobs that run or wait."""
    return [job.number for job in jobs_of(directory) if job.is_alive]
