"""What a build on a cluster needs beyond one on this machine: room, another node for another try, a clean beginning.

A rule's `mem_mb` is what its script needs. Around it run the processes that Snakemake starts on a node, and a job that
was killed for want of memory gets more of it next time. Profiles do the same for `runtime`.
"""

import time
from collections.abc import Callable
from pathlib import Path

from stemma.errors import StemmaError, warn
from stemma.slurm import (
    SlurmJob,
    Unanswered,
    cancel,
    comment_of,
    is_of_group,
    is_one,
    jobs_of,
    largest_node_mb,
    usable_nodes,
)

LOGS = Path(".snakemake/slurm_logs")  # the executor's own; there from its first submission on
ENDING = 180.0  # seconds: the cluster's KillWait (30 as a rule), and a trainer that keeps what it did
POLL = 1.0
NESTED_MB = 400  # two snakemakes and the runner, measured: 150, 150 and 25 MB resident, some of it shared


def adapt_resources(workflow) -> None:
    """Give each rule a `mem_mb` that grows with attempts, and let attempts keep off the node where the last one failed.
    What a profile computes already stays as it is."""
    for rule in workflow.rules:
        memory, extra = rule.resources.get("mem_mb"), rule.resources.get("slurm_extra")
        if memory is not None and not memory.is_evaluable() and memory.value is not None:
            rule.resources["mem_mb"] = growing(memory.value, workflow)
        if extra is None or not extra.is_evaluable():
            rule.resources["slurm_extra"] = elsewhere(rule, extra.value if extra else None, workflow)


def growing(declared: int, workflow) -> Callable:
    """The memory of one rule. Only a first attempt may ask for more than any node has: Slurm says so."""

    def mem_mb(wildcards, attempt):
        first = declared + (0 if workflow.local_exec else NESTED_MB)
        if attempt == 1 or workflow.local_exec:
            return first
        return max(first, min(first * attempt, largest_node_mb()))

    return mem_mb


def elsewhere(rule, given: str | None, workflow) -> Callable:
    """Further options of sbatch for one rule: those given, and at a later attempt one that keeps off the node where the
    last attempt failed, as long as its partition has another."""

    def slurm_extra(wildcards, attempt):
        node = None
        if attempt > 1 and slurm_executor(workflow):
            comment = comment_of(rule.name, list(wildcards))
            node = failed_node(lambda job: job.comment == comment or is_of_group(job, rule.group))
        return " ".join(filter(None, [given, node and f"--exclude={node}"]))

    return slurm_extra


def slurm_executor(workflow) -> type | None:
    """The class that submits to Slurm, if jobs are submitted there."""
    plugin = workflow.executor_plugin
    return plugin.executor if plugin is not None and plugin.name == "slurm" else None


def failed_node(is_meant: Callable[[SlurmJob], bool]) -> str | None:
    """Where the last job that is meant failed; None where nobody knows, or there is no other node to go to."""
    try:
        jobs = list(filter(is_meant, jobs_of(Path.cwd(), ended=True)))
        last = max(jobs, key=lambda job: int(job.number), default=None)
        return last.nodes if last and usable_nodes(last.partition) - {last.nodes} and is_one(last.nodes) else None
    except Unanswered:
        return None


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
