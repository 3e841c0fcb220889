"""Say what goes on in this directory: which jobs run, wait or failed, on which node, since when, how long it may take.

    stemma status
    stemma status --watch 5

During a build, local or on Slurm, and after it. Times left come from the records of earlier jobs; waits in a queue are
not in them. Exit status 0 unless nothing was ever built here.
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict

from stemma.base.errors import printable
from stemma.base.wording import clock
from stemma.cluster.status import Job, Run, look

CLEAR = "\x1b[H\x1b[2J"


def options(parser: argparse.ArgumentParser) -> None:
    """Add how much to print, in what form, how often."""
    parser.add_argument("--lines", type=int, default=1, help="of the log of each running or failed job (1)")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="again and again, until the run has ended")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def handle(parsed: argparse.Namespace) -> None:
    """Print the run's state, once or repeatedly, see stemma/cluster/status.py."""
    while True:
        run = look(parsed.lines)
        if parsed.json:
            print(json.dumps(asdict(run)))
        else:
            print(CLEAR * bool(parsed.watch) + "\n".join(map(printable, as_text(run, time.time()))), flush=True)
        if not parsed.watch or run.alive is False or run.count()["done"] == len(run.jobs):
            return
        time.sleep(parsed.watch)


def as_text(run: Run, now: float) -> list[str]:
    """Format a run for people: a head line, then the jobs that matter, the rest as counts."""
    count = run.count()
    parts = [f"{count['done']} of {len(run.jobs)} jobs done"]
    parts += [f"{count[state]} {state}" for state in ("running", "failed", "lost", "stopped") if count[state]]
    begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))
    lines = [f"{run.executor} run of {begun} on {run.host}, {standing(run)}: {', '.join(parts)}"]
    if run.alive is not False and count["done"] < len(run.jobs):
        untimed = f", without {run.untimed} jobs never timed" if run.untimed else ""
        lines.append(f"about {clock(run.left or 0)} of work left{untimed}")
    lines += [f"note: {note}" for note in run.notes]
    for title, states in (("running", ("running", "starting")), ("in Slurm's queue", ("queued",))):
        lines += section(title, [job for job in run.jobs if job.state in states], now)
    lines += section("failed", [job for job in run.jobs if job.state in ("failed", "lost", "stopped")], now)
    lines += section("tried again", [job for job in run.jobs if job.state == "waiting" and job.attempt], now)
    for state in ("ready", "waiting"):
        rules = Counter(job.rule for job in run.jobs if job.state == state and not job.attempt)
        if rules:
            lines.append(f"{state}: " + ", ".join(f"{number} {rule}" for rule, number in sorted(rules.items())))
    return lines


def standing(run: Run) -> str:
    """Say whether the run's snakemake is at work."""
    if run.alive is None:
        return "begun on another machine"
    return "at work" if run.alive else "ended"


def section(title: str, jobs: list[Job], now: float) -> list[str]:
    """Format a title and a line for each job, with the last lines of its log."""
    lines = [title] if jobs else []
    for job in jobs:
        facts = [job.node or ""]
        if job.since:
            ago = clock(now - job.since)
            facts.append(f"for {ago}" if job.state == "running" else f"{ago} ago")
        if job.attempts > 1 and job.attempt:
            facts.append(f"attempt {job.attempt} of {job.attempts}")
        if job.slurm:
            facts.append(f"Slurm job {job.slurm}")
        if job.state in ("queued", "failed", "lost", "stopped", "starting", "waiting") and job.reason not in (
            None,
            "None",
        ):
            facts.append(job.reason)
        if job.state == "running" and job.left is not None:
            facts.append(f"about {clock(job.left)} left" if job.left else "longer than before")
        lines.append(f"  {job.rule:<15} {job.target:<40} {', '.join(filter(None, facts))}")
        lines += [f"      {text}" for text in job.last]
    return lines
