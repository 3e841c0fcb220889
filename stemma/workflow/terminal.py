"""Reports a run on the terminal: what it is going to do, a line for each finished job with the time left, and, if the
run did not complete, what is kept of it.

It handles the events that Snakemake logs, and replaces their messages where the profile asks Snakemake to be quiet
about rules (stemma/workflow/log_filter.py); the runners then print only progress and errors. Jobs that fail elsewhere
are reported by stemma/cluster/job_log.py.
"""

import logging
import sys
import time
from typing import Any

from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from stemma.base.colour import coloured
from stemma.base.wording import clock, plural
from stemma.cluster.job_log import say, target_of
from stemma.cluster.markers import read_marker
from stemma.execute.run import line
from stemma.store.local import Store
from stemma.workflow import hooks
from stemma.workflow.forecast import Outlook, look_ahead

STOPPED = ("Terminating processes on user request", "Will exit after finishing currently running jobs")
DRY = "a dry run: nothing was done"
REASONS, ALL_REASONS = 5, 40  # most reasons that are printed when a run begins, and for a dry run
NAMED = 3  # names printed of a reason's targets, of a module's functions
MODULE = "(module level)"  # stemma/code/source.py's name for what is in no function
PAUSE = 20  # the time left is recomputed after a pause of so many times what computing it took


def speak(workflow) -> bool:
    """Let the engine report for this workflow. False where Snakemake is to report itself."""
    settings = workflow.output_settings
    quiet = settings.quiet or set()
    if Quietness.RULES not in quiet or settings.verbose:
        return False
    Terminal(workflow, silent=bool({Quietness.PROGRESS, Quietness.ALL} & set(quiet))).listen()
    return True


class Terminal(logging.Handler):
    """The report of one workflow. `silent`: it prints what a dry run would do, and of a real run only how it ended."""

    def __init__(self, workflow, silent: bool):
        super().__init__()
        self.workflow = workflow
        self.silent = silent
        self.stream = sys.stdout if workflow.output_settings.stdout or workflow.output_settings.dryrun else sys.stderr
        self.outlook: Outlook | None = None
        self.jobs: dict[int, Any] = {}  # Snakemake's
        self.begun: dict[str, float] = {}
        self.ended: set[str] = set()
        self.was_stopped = False
        self.left, self.asked, self.pause = 0.0, 0.0, 0.0

    def listen(self) -> None:
        """Listen to Snakemake's events, and to the end of a failed run."""
        logger.addHandler(self)
        hooks.after(self.workflow, "onerror", self.end)

    def emit(self, record: Any) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO and self.outlook is None:
            self.begin()
        elif event == LogEvent.JOB_STARTED:
            self.begun |= dict.fromkeys(map(self.place, record.jobs), time.monotonic())
        elif event == LogEvent.JOB_FINISHED:
            self.finish(record.job_id)
        elif event == LogEvent.JOB_ERROR:
            self.fail(record.jobid)
        elif event == LogEvent.SHELLCMD:
            self.show(record.shellcmd if hasattr(record, "shellcmd") else record.cmd)
        elif isinstance(record.msg, str):
            self.was_stopped |= record.msg.startswith(STOPPED)
            if record.msg.startswith("This was a dry-run"):
                self.say(DRY)

    def show(self, command: str | None) -> None:
        """Print a job's shell command, with --printshellcmds; a rule that gathers others has none."""
        if command and self.workflow.output_settings.printshellcmds:
            self.say(command)

    def say(self, text: str) -> None:
        """Print lines on the terminal."""
        print(text, file=self.stream, flush=True)

    def begin(self) -> None:
        """Print the forecast: a headline, and what has changed; for a dry run also the jobs by rule."""
        dry = self.workflow.dryrun
        if self.workflow.touch:
            return
        brief = dry and self.silent
        self.outlook = look_ahead(self.workflow, with_reasons=not brief)
        self.jobs = {job.jobid: job for job in self.workflow.dag.needrun_jobs()}
        if self.silent and not dry:
            return
        self.say(coloured(headline(self.outlook), "bold", self.stream))
        lines = table(self.outlook) if dry else [f"  {counted(self.outlook)}"]
        lines += reasons(self.outlook, ALL_REASONS if dry else REASONS)
        self.say("\n".join(lines))
        if brief:
            self.say(DRY)

    def place(self, number: int) -> str:
        """Return the first output of one of Snakemake's jobs; the rule's name where it has none."""
        job = self.jobs.get(number)
        return "" if job is None else str(job.output[0]) if job.output else job.rule.name

    def finish(self, number: int) -> None:
        """Print the line of a job that has succeeded."""
        if self.outlook is None:
            return
        place = self.place(number)
        self.ended.add(place)
        self.begun.pop(place, None)
        marker = read_marker(place) if self.outlook.jobs.get(place, {}).get("marked") else None
        if self.silent or marker is None or marker.state != "done" or marker.how is None or marker.seconds is None:
            return
        text = line(marker.stage, marker.rule, marker.target, marker.how, marker.seconds, marker.more)
        node = "" if self.jobs[number].is_local else f"  {marker.node}"
        shown = coloured(marker.how, {"hit": "cyan", "run": "green"}[marker.how], self.stream)
        text = text.replace(f" {marker.how} ", f" {shown} ")
        self.say(f"{text}{node}  {coloured(self.standing(self.outlook), 'dim', self.stream)}")

    def fail(self, number: int) -> None:
        """Name a job of this machine whose runner cannot have said why it failed: it was killed, or never began."""
        job, place = self.jobs.get(number), self.place(number)
        if job is None or self.was_stopped or not (job.is_local or self.workflow.local_exec):
            return
        begun, marker = self.begun.pop(place, time.monotonic()), read_marker(place)
        age = time.monotonic() - begun
        if marker and marker.state != "running" and marker.started >= time.time() - age:
            return
        why = "it was killed" if marker and marker.state == "running" else "its command failed"
        log = f"; log {job.log[0]}" if job.log else ""
        say(f"error: {job.rule.name} {target_of(job)}: {why}{log}")

    def standing(self, outlook: Outlook) -> str:
        """Return the progress: 12/105  2:40 left"""
        marked = {place for place, job in outlook.jobs.items() if job["marked"]}
        count = f"{len(self.ended & marked)}/{len(marked)}"
        now = time.monotonic()
        if now >= self.asked:
            running = {place: now - since for place, since in self.begun.items()}
            self.left = outlook.seconds(running, self.ended)
            self.asked = now + PAUSE * (time.monotonic() - now)
        if not outlook.left or self.ended >= marked:
            return count
        return f"{count}  {clock(self.left)}{'+' * bool(outlook.untimed)} left"

    def end(self) -> None:
        """Print what is kept of a run that did not complete."""
        if self.outlook is None:
            return
        marked = {place for place, job in self.outlook.jobs.items() if job["marked"]}
        saved = any((Store.of(self.workflow.attached.settings).path / "scratch").glob("*"))
        more = ", and what was saved on the way" * saved
        done = f"{len(self.ended & marked)} of {len(marked)} jobs are done; what they gave is kept{more}"
        after = "the same command goes on from there"
        self.say(f"stopped: {done}, {after}" if self.was_stopped else f"{done}; once that is mended, {after}")


def headline(found: Outlook) -> str:
    """Format a forecast: 14 jobs: 11 to run, 3 from the store; about 1:52 on 2 cores"""
    total, hits = sum(job["marked"] for job in found.jobs.values()), len(found.hits)
    views = len(found.jobs) - total
    parts = [f"{total - hits} to run"] if total > hits else []
    parts += [f"{hits} from the store"] if hits else []
    parts += [plural(views, "view")] if views else []
    text = f"{plural(len(found.jobs), 'job')}: {', '.join(parts)}"
    if not total:
        return text
    if not found.left:
        return f"{text}; none of the kind was ever timed here"
    never = f", without {found.untimed} that were never timed" if found.untimed else ""
    return f"{text}; about {clock(found.seconds({}, set()))} on {plural(found.room, 'core')}{never}"


def table(found: Outlook) -> list[str]:
    """Format the jobs by rule."""
    lines = [f"  {'rule':<18}{'jobs':>6}{'hits':>6}{'time':>9}"]
    for rule, count, hits, seconds in found.by_rule():
        lines.append(f"  {rule:<18}{count:>6}{hits or '':>6}{'' if seconds is None else clock(seconds):>9}")
    return lines


def counted(found: Outlook) -> str:
    """Format the numbers of jobs: 8 fetch, 8 collect, mix"""
    return ", ".join(rule if count == 1 else f"{count} {rule}" for rule, count, _, _ in found.by_rule())


def reasons(found: Outlook, limit: int) -> list[str]:
    """Format what has changed, each with the first targets that it makes stale."""
    lines = []
    for text, reason in list(found.reasons.items())[:limit]:
        details = [name for name in reason.details if name != MODULE] or list(reason.details)
        where = f": {first(details)}" if details else ""
        lines.append(f"  {text}{where}  ({first(list(reason.targets))})")
    left = len(found.reasons) - len(lines)
    lines += [f"  and {plural(left, 'change')} more; `python -m stemma why TARGET` says all"] if left > 0 else []
    lines += [f"  {plural(found.unread, 'job')} more, whose records were not read"] if found.unread else []
    return lines


def first(names: list[str]) -> str:
    """Join the first NAMED names, and count the rest."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
