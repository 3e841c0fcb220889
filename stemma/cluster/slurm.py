"""Asks Slurm about the jobs of one directory (squeue), and cancels them (scancel), without waiting when it is down.

Snakemake's executor submits each job with the directory as its working directory and `rule_<name>_...` as its comment.
"""

import math
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PATIENCE = 10.0  # seconds for a command: a controller that is down makes it wait for minutes
FORMAT = "%i|%T|%N|%U|%r|%Z|%k"
OURS = "rule_"
ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "REQUEUED", "RESIZING", "SIGNALING")


class Unanswered(Exception):
    """Slurm cannot be asked; the message says why, in a few words."""


@dataclass(frozen=True)
class SlurmJob:
    """One job of Slurm's. number: 12, or 12_3 for a task of an array. nodes: empty while it waits, for `reason`."""

    number: str
    state: str
    nodes: str
    uid: str
    reason: str
    comment: str

    @property
    def is_alive(self) -> bool:
        """Does it run, or will it?"""
        return self.state in ALIVE


def jobs_of(directory: Path, users: set[str], ended: bool = False) -> list[SlurmJob]:
    """Return the jobs of these users (names or numbers) that Snakemake submitted from a directory; with `ended`, also
    those that have ended, as long as Slurm remembers them. Raises Unanswered."""
    place = {str(directory), str(directory.resolve())}
    states = "all" if ended else "PD,R,CG,CF,S,ST,RQ,SO,RS"
    found = known("--user", ",".join(sorted(users)), "--states", states)
    return [job for job, workdir in found if job.comment.startswith(OURS) and workdir in place]


def own_jobs() -> dict[str, SlurmJob]:
    """Return all jobs of this user that Slurm remembers, by number. Raises Unanswered."""
    return {job.number: job for job, _ in known("--user", str(os.getuid()), "--states", "all")}


def known(*options: str) -> list[tuple[SlurmJob, str]]:
    """Return the jobs that squeue lists, each with its working directory. Raises Unanswered."""
    found = []
    for line in ask("squeue", "--noheader", "--array", *options, "-o", FORMAT).splitlines():
        number, state, nodes, uid, reason, workdir, comment = line.split("|", 6)
        found.append((SlurmJob(number, state, nodes, uid, reason, comment), workdir))
    return found


def comment_of(rule: str, wildcards: list[str]) -> str:
    """Return the comment that the executor gives to a rule's job."""
    values = "_".join(wildcards).replace("/", "_")
    return f"rule_{rule}_wildcards_{values}" if values else f"rule_{rule}"


def is_of_group(job: SlurmJob, group: str | None) -> bool:
    """Does this Slurm job run a Snakemake group? Its comment names the group and the rules in it."""
    return group is not None and job.comment.startswith(f"rule_{group}_")


def is_of_array(job: SlurmJob, rule: str) -> bool:
    """Is it a waiting task of an array of this rule? Its comment names no wildcards."""
    return "_" in job.number and job.state == "PENDING" and job.comment == comment_of(rule, [])


def is_one(nodes: str) -> bool:
    """Is this the name of exactly one node, unlike n[1-2], n1,n2 or nothing?"""
    return bool(nodes) and not set(nodes) & set("[,")


def state_of(number: str) -> str:
    """Return a job's state as long as Slurm remembers it: FAILED, TIMEOUT, ...; "" if it is unknown."""
    return field_of(number, "%T")


def reason_of_end(number: str | None) -> str:
    """Return Slurm's reason why a job ended, in brackets; "" if there is none."""
    reason = field_of(number, "%r") if number else ""
    return f" ({reason})" if reason not in ("", "None", "NonZeroExitCode") else ""


def node_of(number: str) -> str | None:
    """Return the node where a job runs or ran; None if there were several or Slurm has forgotten it."""
    nodes = field_of(number, "%N")
    return nodes if is_one(nodes) else None


def field_of(number: str, code: str) -> str:
    """Return one column of squeue's for a job; "" if it is unknown."""
    try:
        return ask("squeue", "--noheader", "--states", "all", "--jobs", number, "-o", code).strip()
    except Unanswered:
        return ""


def cancel(numbers: list[str], *options: str) -> None:
    """Cancel jobs: SIGTERM, and SIGKILL after the cluster's KillWait. Raises Unanswered."""
    ask("scancel", *options, *numbers)


def exclude(number: str, nodes: str) -> None:
    """Set the nodes that a waiting job must avoid; "" for none. Raises Unanswered."""
    ask("scontrol", "update", f"jobid={number}", f"excnodelist={nodes}")


@cache
def largest_node_mb() -> float:
    """Return the memory of the largest node in MB; infinity if it is unknown."""
    try:
        return max(map(int, ask("sinfo", "--noheader", "-o", "%m").replace("+", "").split()), default=math.inf)
    except Unanswered:
        return math.inf


def ask(*command: str) -> str:
    """Return what a command of Slurm's prints. Raises Unanswered where it fails or takes longer than PATIENCE."""
    if shutil.which(command[0]) is None:
        raise Unanswered(f"there is no {command[0]} on this machine")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unanswered(f"{command[0]} gave no answer within {PATIENCE:.0f} s") from None
    if done.returncode:
        raise Unanswered((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return done.stdout
