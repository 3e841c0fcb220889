"""Handles submission to Slurm: a new attempt on another node, and refusals.

What sbatch refuses for good (a partition, memory or GPUs that do not exist) is not tried again. What it refuses for now
(the controller is down, this user has as many jobs as allowed) is submitted again later, which costs no attempt. It
patches snakemake-executor-plugin-slurm (2.8); tests/cluster/test_refusals.py, test_waiting.py.
"""

import re
import subprocess
import sys
import time
from typing import Any

from stemma.base.errors import warn
from stemma.base.patches import put
from stemma.cluster.slurm import node_of

BY_SBATCH = re.compile(r"The error message was '(?P<why>.*?)'\.\n\s+sbatch call:", re.DOTALL)
BY_PLUGIN = re.compile(r"Job submission failed with exception: (?P<why>.*)", re.DOTALL)
BY_COMMAND = re.compile(r"Error submitting jobscript \(exit code \d+\):\n(?P<why>.*)", re.DOTALL)
PREFIX = re.compile(r"^sbatch: (?:error: )?(?:Batch job submission failed: )?")
FOR_NOW = re.compile(
    "SubmitJob|unable to contact|timed out|temporarily un|zero bytes|connection (?:refused|reset|failure)|in standby",
    re.IGNORECASE,
)
EXCLUDED = re.compile(r"(?:--exclude[= ]|\s-x ?)(\S+)")
AGAIN = 20.0  # seconds until a job that was refused for now is submitted again
PATIENCE = 60.0  # seconds for an answer of sbatch's


def watch_submission(executor_class: Any) -> None:
    """Replace how the executor composes its sbatch command, and what it does with a refusal."""
    plugin = sys.modules[executor_class.__module__]
    command, run_job = plugin.get_submit_command, executor_class.run_job
    report = executor_class._report_job_error_threadsafe

    def get_submit_command(job, *arguments, **options) -> str:
        return off_the_node(job, command(job, *arguments, **options), plugin.set_gres_string(job))

    def run_and_report(self, job) -> None:
        try:
            run_job(self, job)
        except AttributeError as error:  # its own handler fails for a group and would hide the cause
            cause = error.__context__ or error
            report(self, plugin.SubmittedJobInfo(job), f"Job submission failed with exception: {cause}")

    def report_unless_again(self, info, msg: str) -> None:
        reason = reason_of(msg)
        if reason is not None and is_for_now(msg) and wait(self, reason):
            self._job_submission_executor.submit(self.run_job, info.job)
        else:
            report(self, info, msg)

    put(plugin, "plugin.get_submit_command", get_submit_command)
    put(executor_class, "Executor.run_job", run_and_report)
    put(executor_class, "Executor._report_job_error_threadsafe", report_unless_again)


def off_the_node(job, call: str, gres: str) -> str:
    """Return the command with an option that avoids the node where the last attempt failed, if Slurm says that the job
    can run elsewhere; not if all other nodes are drained, too small or of another kind."""
    failed_as = getattr(job, "failed_as", None)
    node = node_of(failed_as) if failed_as else None
    if node is None:
        return call
    given = EXCLUDED.findall(call)
    elsewhere = f"{call} --exclude={','.join([*given, node])}"
    test = f"{elsewhere}{gres} --test-only --wrap=true"
    if subprocess.run(test, shell=True, capture_output=True, timeout=PATIENCE, check=False).returncode != 0:
        return call
    job.kept_off = ",".join(given)
    return elsewhere


def wait(executor, reason: str) -> bool:
    """Wait until a job that was refused for now is to be submitted again; False if the run is to end instead."""
    if getattr(executor, "refused_for", None) != reason:
        executor.refused_for = reason
        warn(f"Slurm takes no job now: {reason}; those that are ready are submitted again every {AGAIN:.0f} s")
    end = time.monotonic() + AGAIN
    while time.monotonic() < end:
        if is_told_to_end(executor) or executor._job_submission_executor._shutdown:
            return False
        time.sleep(0.5)
    return True


def is_told_to_end(executor) -> bool:
    """Has snakemake received a SIGTERM? Then it submits nothing more."""
    return executor.workflow.scheduler is not None and executor.workflow.scheduler._user_kill is not None


def reason_of(msg: str) -> str | None:
    """Return why a scheduler refused a job, in its words, on one line; None if it did not."""
    found = next(filter(None, (pattern.search(msg) for pattern in (BY_SBATCH, BY_PLUGIN, BY_COMMAND))), None)
    if found is None:
        return None
    said = [line for line in found["why"].splitlines() if not line.startswith("sbatch: warning")]
    lines = [PREFIX.sub("", line).strip() for line in said]
    return next(filter(None, lines), "it does not say why").rstrip(".")


def is_for_now(msg: str) -> bool:
    """Is it a refusal that may not be repeated later?"""
    found = BY_SBATCH.search(msg) or BY_PLUGIN.search(msg)
    return found is not None and bool(FOR_NOW.search(found["why"]))


def give_up(job) -> None:
    """Let a job have no further attempt. Its resources stay those of this attempt, because they are being freed."""
    job._attempt = (job.restart_times or 0) + 1
