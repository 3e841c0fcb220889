"""What the terminal says of jobs that failed elsewhere: their runners speak into files of the executor's.

One line for each: rule, artifact, the script's last error, what the scheduler did to it or the last that its log says,
the log, and whether it is tried again. Reads markers (stemma/cluster/markers.py). What ended well says
stemma/workflow/terminal.py.
"""

import sys
from pathlib import Path

from stemma.base.errors import Outdated
from stemma.base.log_tail import telling
from stemma.cluster.markers import Marker, read_marker
from stemma.cluster.slurm import reason_of_end, state_of
from stemma.cluster.submission import give_up, is_for_now, is_told_to_end, reason_of

OVER = "Exceeded job memory limit"
WORDLESS = "it ended without a word"
LOGS = Path(".snakemake")  # <scheduler>_logs
FORGOTTEN = "Slurm no longer knows it"
BY_SLURM = {  # what became of a job: what that means, and what to do when it happens at every attempt
    "OUT_OF_MEMORY": ("it was killed at its limit of {mem_mb} MB", "raise mem_mb of {rule}"),
    "TIMEOUT": ("it was ended at its limit of {runtime} minutes", "raise runtime of {rule}"),
    "NODE_FAIL": ("its node died", "see `sinfo -R`"),
    "BOOT_FAIL": ("its node did not boot", "see `sinfo -R`"),
    "DEADLINE": ("its deadline passed", "change what {rule} asks for"),
    "CANCELLED": ("it was cancelled", "run again"),
    "PREEMPTED": ("it was preempted", "run again"),
}


def announce(workflow) -> None:
    """From now on speak for the jobs that this workflow submits."""
    executor = workflow.executor_plugin.executor
    tell = executor.print_job_error

    def tell_and_say(self, info, msg=None, **others) -> None:
        failed(self, info, msg or "", [log for log in others.get("aux_logs") or [] if log])
        tell(self, info, msg, **others)

    executor.print_job_error = tell_and_say


def members(job) -> list:
    """The jobs of a group; of what is no group itself."""
    return list(job) if job.is_group() else [job]


def failed(executor, info, msg: str, logs: list[str]) -> None:
    """Of a group the member that failed is named; the others ended well or never began. msg: the executor's own words;
    logs: the scheduler's."""
    job, number, ending = info.job, info.external_jobid, is_told_to_end(executor)
    if (info.aux or {}).get("withdrawn") or ending and is_for_now(msg):
        return
    refused = None if is_for_now(msg) else reason_of(msg)
    if refused:
        give_up(job)
        (blamed, *_) = members(job)
        queue = "Slurm" if executor.workflow.executor_plugin.name == "slurm" else "the scheduler"
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
            why, where, advice = reason(member, marker, number, msg, logs)
            told.append((member, f"{why}{where}; {what_next(job, advice, ending)}"))
    for member, text in told:
        say(f"error: {member.rule.name} {target_of(member)}: {text}")


def marker_of(job, number: str | None = None) -> Marker | None:
    """What its runner has written of it in this run; `number`: as that job of the scheduler's, not as an earlier
    attempt. Only Slurm tells a runner its number."""
    marker = read_marker(str(job.output[0])) if job.output else None
    if marker is None or number is None or marker.slurm == number:
        return marker
    return marker if marker.slurm is None and marker.started != getattr(job, "told", None) else None


def target_of(job) -> str:
    """What people call it: the place of its first output."""
    return str(job.output[0]).removesuffix("/manifest.json") if job.output else job.rule.name


def reason(job, marker: Marker | None, number: str | None, msg: str, logs: list[str]) -> tuple[str, str, str]:
    """Why it failed; where it ran and where its log is; what to do. msg, logs: see `failed`."""
    logs = [log for log in logs if Path(log).is_file()] or logs_of(number)
    state = "OUT_OF_MEMORY" if exceeded_memory(logs) else msg if msg in BY_SLURM else state_of(number) if number else ""
    where = f" ({'Slurm job' if state else 'job'} {number}{f' on {marker.node}' if marker else ''})" if number else ""
    log = f"; log {job.log[0]}" if job.log else ""
    by_slurm = state in ("OUT_OF_MEMORY", "TIMEOUT") or state in BY_SLURM and marker and marker.state == "stopped"
    if marker and marker.is_final:
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
    """The scheduler's log of a job where the executor does not say which it is: of an array, or through a command."""
    return [str(file) for name in (f"{number}.log", f"*-{number}.log") for file in LOGS.glob(f"*_logs/**/{name}")]


def exceeded_memory(logs: list[str]) -> bool:
    """Did Slurm's accounting end the job for its memory? Then its state is merely FAILED."""
    return any(OVER in Path(log).read_text(errors="replace") for log in logs)


def what_next(job, advice: str, ending: bool) -> str:
    """Is it tried again? If not, the advice."""
    attempts = (job.restart_times or 0) + 1
    if job.attempt < attempts and not ending:
        return f"tried again, attempt {job.attempt + 1} of {attempts}"
    return advice


def say(text: str) -> None:
    """A line on the terminal."""
    print(text, file=sys.stderr, flush=True)
