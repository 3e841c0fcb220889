"""Watches jobs that do not start in Slurm's queue: says once why they wait, and withdraws them when told to end.

The executor polls its jobs and believes that those which have not ended will. Here Slurm is asked again after each poll
what these jobs wait for, whether they were preempted, and whether it still knows them. It patches
snakemake-executor-plugin-slurm (2.8); tests/cluster/test_waiting.py.
"""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from stemma.base.errors import warn
from stemma.base.patches import put
from stemma.cluster.job_log import FORGOTTEN, members, say, target_of
from stemma.cluster.markers import read_marker
from stemma.cluster.slurm import SlurmJob, Unanswered, cancel, exclude, own_jobs
from stemma.cluster.submission import is_told_to_end

ORDINARY = ("None", "Priority", "Resources", "BeginTime", "Dependency", "Cleaning", "Prolog", "JobArrayTaskLimit")
LONG = 600.0  # seconds that all jobs may wait for ordinary reasons before it is said; then twice as long, ...
MEANINGS = {  # Slurm's reason: what it means, what to do
    "NotAvail|NodeDown|Nodes required": ("the nodes that it may use are down, drained or reserved", "see `sinfo -R`"),
    "Partition(Node|Time)Limit|PartitionConfig|BadConstraints|MaxMemPerLimit": (
        "it asks for more than its partition has or allows",
        "change what {rule} asks for",
    ),
    "Partition(Down|Inactive)": ("its partition starts no jobs", "see `sinfo`"),
    "[Hh]eld": ("it is held", "`scontrol release {number}` lets it run"),
    "NeverSatisfied": ("what it depends on failed", "`scancel {number}` lets it be tried again"),
    "Invalid(Account|QOS)|NotAllowed": ("its account or QOS may not use its partition", "change slurm_account or qos"),
    "^(Assoc|QOS|Accounting)": ("a limit of its account or QOS is reached", "see `sacctmgr show qos,assoc`"),
    "": ("Slurm does not start it", "see `scontrol show job {number}`"),
}


def watch_queue(executor_class: type) -> None:
    """Look, after each poll of the executor's, at all jobs that it has not reported as over: where Slurm does not
    answer, the executor forgets them all."""
    check, succeeded, failed = (
        getattr(executor_class, name) for name in ("check_active_jobs", "report_job_success", "report_job_error")
    )
    queue = Queue()

    async def check_and_look(self, active: list) -> AsyncIterator:
        async for _ in check(self, active):
            pass
        self._failed_nodes.clear()  # otherwise a node that was down once is avoided for the whole run
        for info in queue.look(self, [info for info in active if not info.aux.get("over")]):
            yield info

    def report_job_success(self, info) -> None:
        info.aux["over"] = True
        succeeded(self, info)

    def report_job_error(self, info, msg=None, **others) -> None:
        info.aux = {**(info.aux or {}), "over": True}
        failed(self, info, msg, **others)

    put(executor_class, "Executor.check_active_jobs", check_and_look)
    put(executor_class, "Executor.report_job_success", report_job_success)
    put(executor_class, "Executor.report_job_error", report_job_error)


@dataclass
class Queue:
    """The jobs in the queue, and what was said of them. `long`: seconds of waiting that are still ordinary."""

    is_silent: bool = False
    was_told: bool = False
    long: float = LONG

    def look(self, executor, infos: list) -> list:
        """Return those of the executor's jobs that still run or wait; report how the others ended."""
        if not infos:
            return []
        try:
            known = own_jobs()
        except Unanswered as reason:
            if not self.is_silent:
                warn(f"Slurm does not answer ({reason}); it is asked again until it does, jobs run on")
            self.is_silent = True
            return infos
        self.is_silent = False
        still = [info for info in infos if not is_over(executor, info, known.get(info.external_jobid))]
        waiting = [(info, known[info.external_jobid]) for info in still if info.external_jobid in known]
        waiting = [(info, job) for info, job in waiting if job.state == "PENDING"]
        if is_told_to_end(executor):
            self.withdraw(waiting, len(still) - len(waiting))
        else:
            say_why(waiting)
            if waiting and len(waiting) == len(still):
                self.say_how_long(waiting, time.monotonic())
        return still

    def say_how_long(self, waiting: list, now: float) -> None:
        """Say how long they wait, if all that the run has is in the queue and has been for long."""
        waited = now - min(info.aux.setdefault("since", now) for info, _ in waiting)
        if waited < self.long:
            return
        self.long = 2 * waited
        reasons = ", ".join(sorted({job.reason for _, job in waiting}))
        say(f"waiting: {counted(len(waiting))} for {waited / 60:.0f} minutes in Slurm's queue: {reasons}")

    def withdraw(self, waiting: list, at_work: int) -> None:
        """End a run on a signal: remove from the queue what has not begun, and let running jobs finish."""
        if not self.was_told:
            self.was_told = True
            work = f"{counted(at_work)} at work waited for; Ctrl-C ends {'them' if at_work > 1 else 'it'}, too"
            warn(f"told to end: {counted(len(waiting))} taken out of Slurm's queue{', ' + work if at_work else ''}")
        for info, _ in waiting:
            info.aux["withdrawn"] = True
        try:
            if waiting:
                cancel([job.number for _, job in waiting], "--state=PENDING")
        except Unanswered as reason:
            warn(f"Slurm does not answer ({reason})")


def is_over(executor, info, job: SlurmJob | None) -> bool:
    """Does the executor wait in vain? That must show twice in a row, since Slurm may be about to requeue the job."""
    if job is not None and job.state != "PREEMPTED":
        info.aux["vain"] = 0
        return False
    if job is None and info.job.resources.get("cluster", info.job.resources.get("slurm_cluster")):
        return False  # it is in another cluster's queue
    info.aux["vain"] = info.aux.get("vain", 0) + 1
    if info.aux["vain"] < 2:
        return False
    if job is None and all(is_done(member) for member in members(info.job)):
        executor.report_job_success(info)
    else:
        executor.report_job_error(info, msg=job.state if job else FORGOTTEN)
    return True


def is_done(job) -> bool:
    """Did its runner report success?"""
    marker = read_marker(str(job.output[0])) if job.output else None
    return marker is not None and marker.state == "done"


def say_why(waiting: list) -> None:
    """Say why jobs wait that do not merely wait for their turn; those of one rule and reason share a line."""
    alike: dict[tuple[str, str], list] = {}
    for info, job in waiting:
        if job.reason not in ORDINARY and not may_go_back(info):
            what, advice = next(value for pattern, value in MEANINGS.items() if re.search(pattern, job.reason))
            if info.aux.get("why") != what:
                info.aux["why"] = what
                alike.setdefault((info.job.name, job.reason), []).append((info, what, advice))
    for (name, reason), group in alike.items():
        info, what, advice = group[0]
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        words = (
            "" if " " in reason.partition(",")[0] else f": {reason}"
        )  # a sentence of Slurm's says no more than `what`
        say(
            f"waiting: {name} {target_of(members(info.job)[0])}{more}: {what}{words} "
            f"(Slurm job {info.external_jobid}); {advice.format(rule=name, number=info.external_jobid)}"
        )


def may_go_back(info) -> bool:
    """Let a job that avoids the node where it failed run there after all, now that no other is free; True if it may."""
    kept_off = getattr(info.job, "kept_off", None)
    if kept_off is None:
        return False
    info.job.kept_off = None
    try:
        exclude(info.external_jobid, kept_off)
    except Unanswered:
        return False
    return True


def counted(number: int) -> str:
    """Format a number of jobs: 1 job, 2 jobs."""
    return f"{number} job{'s' * (number != 1)}"
