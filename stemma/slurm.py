"""What Slurm says of the jobs of one directory, by squeue, and scancel. Nothing here waits for a Slurm that is down.

Snakemake's executor submits each job with the directory as its own and `rule_<name>_...` in its comment.
"""

import math
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PATIENCE = 10.0  # seconds for a command; a controller that is down makes them wait for minutes
FORMAT = "%A|%T|%P|%N|%r|%S|%Z|%k"
OURS = "rule_"
ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "REQUEUED", "RESIZING", "SIGNALING")


class Unanswered(Exception):
    """Slurm cannot be asked; why, in a few words."""


@dataclass(frozen=True)
class SlurmJob:
    """One job of Slurm's. `nodes`: empty while it waits. `since`: local time of its (expected) start, or N/A."""

    number: str
    state: str
    partition: str
    nodes: str
    reason: str
    since: str
    comment: str

    @property
    def is_alive(self) -> bool:
        """Does it run, or will it?"""
        return self.state in ALIVE


def jobs_of(directory: Path, ended: bool = False) -> list[SlurmJob]:
    """This user's jobs that Snakemake submitted from a directory; `ended`: those too that are over, as long as Slurm
    remembers them. Raises Unanswered."""
    place, found = str(directory.resolve()), []
    lines = ask(
        "squeue", "--me", "--noheader", "--states", "all" if ended else "PD,R,CG,CF,S,ST,RQ,SO,RS", "-o", FORMAT
    )
    for line in lines.splitlines():
        number, state, partition, nodes, reason, since, workdir, comment = line.split("|", 7)
        if comment.startswith(OURS) and workdir in (place, str(directory)):
            found.append(SlurmJob(number, state, partition, nodes, reason, since, comment))
    return found


def comment_of(rule: str, wildcards: list[str]) -> str:
    """The comment that the executor gives to the job of a rule."""
    values = "_".join(wildcards).replace("/", "_")
    return f"rule_{rule}_wildcards_{values}" if values else f"rule_{rule}"


def is_of_group(job: SlurmJob, group: str | None) -> bool:
    """Does a job do the members of a group? Its comment names the group and their rules."""
    return group is not None and job.comment.startswith(f"rule_{group}_")


def is_one(nodes: str) -> bool:
    """Is this the name of one node, not of several: n[1-2], n1,n2, nothing?"""
    return bool(nodes) and not set(nodes) & set("[,")


def usable_nodes(partition: str) -> set[str]:
    """Names of the nodes of a partition that take jobs. Raises Unanswered."""
    return set(ask("sinfo", "--noheader", "-N", "-p", partition, "-t", "idle,mix,alloc", "-o", "%N").split())


def state_of(number: str) -> str:
    """What became of a job, as long as Slurm remembers it: FAILED, TIMEOUT, ...; empty where nobody says."""
    try:
        return ask("squeue", "--noheader", "--states", "all", "--jobs", number, "-o", "%T").strip()
    except Unanswered:
        return ""


def cancel(numbers: list[str]) -> None:
    """End jobs: SIGTERM, and SIGKILL after the cluster's KillWait. Raises Unanswered."""
    ask("scancel", *numbers)


@cache
def largest_node_mb() -> float:
    """Memory of the node that has most; infinite where nobody says."""
    try:
        return max(map(int, ask("sinfo", "--noheader", "-o", "%m").replace("+", "").split()), default=math.inf)
    except Unanswered:
        return math.inf


def ask(*command: str) -> str:
    """What a command of Slurm's prints."""
    if shutil.which(command[0]) is None:
        raise Unanswered(f"there is no {command[0]} on this machine")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unanswered(f"{command[0]} gave no answer within {PATIENCE:.0f} s") from None
    if done.returncode:
        raise Unanswered((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return done.stdout
