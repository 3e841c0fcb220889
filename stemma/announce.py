"""What the terminal says of jobs that run elsewhere: their runners speak into files of the executor's.

One line for each that ends, the runner's own with the node, and one for each that fails: rule, artifact, the script's
last error or what Slurm did to it, the log, and whether it is tried again. Reads markers (stemma/jobs.py). Of failures
Snakemake's log events tell, of successes the executor, since Snakemake logs none when it is to be quiet.
"""

import logging
import re
import sys
from pathlib import Path

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from stemma.jobs import Marker, read_marker
from stemma.run import line
from stemma.slurm import state_of

REFUSED = re.compile(r"The error message was '(?:sbatch: error: )?(.*?)'?\.?\s*$", re.MULTILINE)
OVER = "Exceeded job memory limit"
BY_SLURM = {  # what became of a job: what that means, and what to do when it happens at every attempt
    "OUT_OF_MEMORY": ("it was killed at its limit of {mem_mb} MB", "raise mem_mb of {rule}"),
    "TIMEOUT": ("it was ended at its limit of {runtime} minutes", "raise runtime of {rule}"),
    "NODE_FAIL": ("its node died", "see `sinfo -R`"),
    "CANCELLED": ("it was cancelled", "run again"),
    "PREEMPTED": ("it was preempted", "run again"),
}


def announce(workflow) -> None:
    """From now on speak for the jobs that this workflow submits."""
    logger.addHandler(Announcer(workflow))
    executor = workflow.executor_plugin.executor
    handle = executor.handle_job_success

    def handle_and_say(self, job) -> None:
        handle(self, job)
        for member in job if job.is_group() else [job]:
            ended(member)

    executor.handle_job_success = handle_and_say


def ended(job) -> None:
    """The line that its runner said where nobody hears it."""
    marker = marker_of(job)
    if marker and marker.state == "done":
        say(f"{line(marker.stage, marker.rule, marker.target, marker.how, marker.seconds)}  {marker.node}")


class Announcer(logging.Handler):
    """Listens to the log events of one workflow."""

    def __init__(self, workflow):
        super().__init__()
        self.workflow = workflow

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_ERROR:
            self.failed(self.job(record.jobid), record.rule_msg or "", record.aux.get("external_jobid"), record.log)
        elif event == LogEvent.GROUP_ERROR:
            self.group_failed(record)

    def job(self, number: int):
        """Snakemake's job of a number."""
        return next(job for job in self.workflow.dag.jobs if job.jobid == number)

    def failed(self, job, message: str, number: str | None, logs: list[str]) -> None:
        """Of a job that is no group's; here what runs on this machine has spoken for itself."""
        if job.is_local or job.group is not None and number is None:
            return
        refused = REFUSED.search(message)
        if refused:
            why, where, advice = f"Slurm refuses it: {refused[1]}", "", f"change what {job.rule.name} asks for"
        else:
            why, where, advice = reason(job, marker_of(job, number), number, logs)
        say(f"error: {job.rule.name} {target_of(job)}: {why}{where}{what_next(job, advice)}")

    def group_failed(self, record: logging.LogRecord) -> None:
        """Of a group the member that failed is named; the others ended well or never began."""
        number = getattr(record, "external_jobid", None)
        members = [self.job(info["jobid"]) for info in record.job_error_info]
        markers = [(job, marker_of(job, number)) for job in members]
        blamed = [(job, marker) for job, marker in markers if marker and marker.state != "done"] or markers[:1]
        for job, marker in blamed:
            why, where, advice = reason(job, marker, number, record.aux_logs)
            say(f"error: {job.rule.name} {target_of(job)}: {why}{where}{what_next(job, advice)}")


def marker_of(job, number: str | None = None) -> Marker | None:
    """What its runner has written of it in this run; `number`: as that job of Slurm's, not as an earlier attempt."""
    marker = read_marker(str(job.output[0])) if job.output else None
    return marker if number is None or marker and marker.slurm == number else None


def target_of(job) -> str:
    """What people call it: the place of its first output."""
    return str(job.output[0]).removesuffix("/manifest.json") if job.output else job.rule.name


def reason(job, marker: Marker | None, number: str | None, logs: list[str]) -> tuple[str, str, str]:
    """Why it failed; where it ran and where its log is; what to do. logs: Snakemake's and Slurm's own."""
    state = "OUT_OF_MEMORY" if exceeded_memory(logs) else state_of(number) if number else ""
    where = f" (Slurm job {number}{f' on {marker.node}' if marker else ''})" if number else ""
    log = f"; log {job.log[0]}" if job.log else ""
    by_slurm = state in ("OUT_OF_MEMORY", "TIMEOUT") or state in BY_SLURM and marker and marker.state == "stopped"
    if marker and marker.error and not by_slurm:
        return marker.error, ("" if str(job.log[0]) in marker.error else log) + where, "mend that, then run again"
    if state in BY_SLURM:
        values = {"rule": job.rule.name, "mem_mb": job.resources.get("mem_mb"), "runtime": job.resources.get("runtime")}
        why, advice = (text.format(**values) for text in BY_SLURM[state])
        return why, log + where, advice
    return "it ended without a word", log + where, "see .snakemake/slurm_logs, then run again"


def exceeded_memory(logs: list[str]) -> bool:
    """Did Slurm's accounting end the job for its memory? Then its state is merely FAILED."""
    return any(OVER in Path(log).read_text(errors="replace") for log in logs if Path(log).is_file())


def what_next(job, advice: str) -> str:
    """Is it tried again? If not, the advice."""
    attempts = (job.restart_times or 0) + 1
    if job.attempt < attempts:
        return f"; tried again, attempt {job.attempt + 1} of {attempts}"
    return f"; {advice}"


def say(text: str) -> None:
    """A line on the terminal."""
    print(text, file=sys.stderr, flush=True)
