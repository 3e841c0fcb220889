"""Reports jobs that failed on other machines, whose runners write to the executor's files and not to the terminal.

It prints one line for each: rule, artifact, the script's last error, what the scheduler did to it or the last line of
its log, the log's path, and whether it is tried again. It reads markers (stemma/cluster/markers.py). Jobs that
succeeded are reported by stemma/workflow/terminal.py.
"""

import sys
from pathlib import Path

from stemma.base.errors import Outdated, printable
from stemma.base.log_tail import telling
from stemma.base.patches import put
from stemma.cluster.markers import Marker, read_marker
from stemma.cluster.slurm import reason_of_end, state_of
from stemma.cluster.submission import give_up, is_for_now, is_told_to_end, reason_of

OVER = "Exceeded job memory limit"
WORDLESS = "it ended without a word"
LOGS = Path(".snakemake")  # holds <scheduler>_logs
FORGOTTEN = "Slurm no longer knows it"
BY_SLURM = {  # Slurm's state: what it means, and what to do when it happens at every attempt
    "OUT_OF_MEMORY": ("it was killed at its limit of {mem_mb} MB", "raise mem_mb of {rule}"),
    "TIMEOUT": ("it was ended at its limit of {runtime} minutes", "raise runtime of {rule}"),
    "NODE_FAIL": ("its node died", "see `sinfo -R`"),
    "BOOT_FAIL": ("its node did not boot", "see `sinfo -R`"),
    "DEADLINE": ("its deadline passed", "change what {rule} asks for"),
    "CANCELLED": ("it was cancelled", "run again"),
    "PREEMPTED": ("it was preempted", "run again"),
}


def announce(workflow) -> None:
    """Report the jobs that this workflow submits from now on."""
    executor = workflow.executor_plugin.executor
    tell = executor.print_job_error

    def tell_and_say(self, info, msg=None, **others) -> None:
        failed(self, info, msg or "", [log for log in others.get("aux_logs") or [] if log])
        tell(self, info, msg, **others)

    put(executor, "Executor.print_job_error", tell_and_say)


def members(job) -> list:
    """Return the jobs of a group; a list of the job itself if it is none."""
    return list(job) if job.is_group() else [job]


def failed(executor, info, msg: str, logs: list[str]) -> None:
    """Report a failed job. Of a group only the member that failed is named; the others succeeded or never began.

    msg: the executor's own words; logs: the scheduler's log files."""
    job, number, ending = info.job, info.external_jobid, is_told_to_end(executor)
    on_slurm = executor.workflow.executor_plugin.name == "slurm"
    if (info.aux or {}).get("withdrawn") or ending and is_for_now(msg):
        return
    refused = None if is_for_now(msg) else reason_of(msg)
    if refused:
        give_up(job)
        (blamed, *_) = members(job)
        queue = "Slurm" if on_slurm else "the scheduler"
        told = [(blamed, f"{queue} refuses it: {refused}; change what {blamed.rule.name} asks for")]
    else:
        job.failed_as = number
        markers = [(member, marker_of(member, number)) for member in members(job)]
        blamed = [(member, marker) for member, marker in markers if marker and marker.state != "done"] or markers[:1]
        told = []
        if any(marker and marker.is_final for _, marker in blamed):
            give_up(job)
        for member, marker in blamed:
            member.told = marker and marker.started
            why, where, advice = reason(member, marker, number, msg, logs, on_slurm)
            told.append((member, f"{why}{where}; {what_next(job, advice, ending)}"))
    for member, text in told:
        say(f"error: {member.rule.name} {target_of(member)}: {text}")


def marker_of(job, number: str | None = None) -> Marker | None:
    """Return the marker that a job's runner has written in this run. `number`: only if it was that job of the
    scheduler's, not an earlier attempt; only Slurm tells a runner its number."""
    marker = read_marker(str(job.output[0])) if job.output else None
    if marker is None or number is None or marker.slurm == number:
        return marker
    return marker if marker.slurm is None and marker.started != getattr(job, "told", None) else None


def target_of(job) -> str:
    """Return the job's name for the user: the path of its first output."""
    return str(job.output[0]).removesuffix("/manifest.json") if job.output else job.rule.name


def reason(
    job, marker: Marker | None, number: str | None, msg: str, logs: list[str], on_slurm: bool
) -> tuple[str, str, str]:
    """Return (why it failed, its log and where it ran, what to do). msg, logs: see `failed`."""
    logs = [log for log in logs if Path(log).is_file()] or logs_of(number)
    state = "OUT_OF_MEMORY" if exceeded_memory(logs) else msg if msg in BY_SLURM else state_of(number) if number else ""
    kind, node = "Slurm job" if on_slurm or state else "job", f" on {marker.node}" if marker else ""
    where = f" ({kind} {number}{node})" if number else ""
    log = f"; log {job.log[0]}" if job.log else ""
    by_slurm = state in ("OUT_OF_MEMORY", "TIMEOUT") or state in BY_SLURM and marker and marker.state == "stopped"
    if marker and marker.error and marker.is_final:
        return marker.error.removesuffix(f"; {Outdated.ADVICE}"), log + where, Outdated.ADVICE
    if marker and marker.error and not by_slurm:
        return marker.error, ("" if str(job.log[0]) in marker.error else log) + where, "mend that, then run again"
    if state in BY_SLURM:
        values = {"rule": job.rule.name, "mem_mb": job.resources.get("mem_mb"), "runtime": job.resources.get("runtime")}
        why, advice = (text.format(**values) for text in BY_SLURM[state])
        return why, log + where, advice
    for file in [*logs, *job.log]:
        said = telling(Path(file))
        if said:
            return f"it ended, and last said: {said}", f"; log {file}{where}", "mend that, then run again"
    return FORGOTTEN if msg == FORGOTTEN else WORDLESS + reason_of_end(number), log + where, "run again"


def logs_of(number: str | None) -> list[str]:
    """Find the scheduler's log of a job where the executor does not name it: in arrays, or with a submit command."""
    return [str(file) for name in (f"{number}.log", f"*-{number}.log") for file in LOGS.glob(f"*_logs/**/{name}")]


def exceeded_memory(logs: list[str]) -> bool:
    """Did Slurm's accounting kill the job for its memory? Its state is then merely FAILED."""
    return any(OVER in Path(log).read_text(errors="replace") for log in logs)


def what_next(job, advice: str, ending: bool) -> str:
    """Say that the job is tried again or, if it is not, give the advice."""
    attempts = (job.restart_times or 0) + 1
    if job.attempt < attempts and not ending:
        return f"tried again, attempt {job.attempt + 1} of {attempts}"
    return advice


def say(text: str) -> None:
    """Print a line on the terminal."""
    print(printable(text), file=sys.stderr, flush=True)
