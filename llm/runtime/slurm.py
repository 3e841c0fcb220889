"""What Slurm knows of the job that this process is in, asked of squeue and sinfo.

Not of the environment: Snakemake's jobstep takes the SLURM_* variables away, all but the job's id, and Slurm 22.05 has
none for the end of a job.
"""

import os
import subprocess
import time

from llm.errors import InputError


def job_id() -> str | None:
    """The Slurm job that this process is in, if any."""
    return os.environ.get("SLURM_JOB_ID")


def node_name() -> str | None:
    """Slurm's name of the machine that this process runs on, if Slurm started it there."""
    return os.environ.get("SLURMD_NODENAME")


def node_count(job: str) -> int:
    return int(ask("squeue", "--noheader", f"--jobs={job}", "--format=%D"))


def address_of(node: str) -> str:
    """Where a node is reached: an IP address or a name that resolves, which the node's own name need not do."""
    return ask("sinfo", "--noheader", "--Node", f"--nodes={node}", "--format=%o").split()[0]


def end_time(job: str) -> float:
    """When the job's time is over, in seconds since the epoch; infinity without a limit."""
    if "SLURM_JOB_END_TIME" in os.environ:
        return float(os.environ["SLURM_JOB_END_TIME"])
    return time.time() + seconds(ask("squeue", "--noheader", f"--jobs={job}", "--format=%L"))


def seconds(text: str) -> float:
    """Of Slurm's [days-][[hours:]minutes:]seconds; infinity for UNLIMITED and what else is no time."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in [days or "0", *parts]):
        return float("inf")
    total = 0
    for part in parts:
        total = 60 * total + int(part)
    return 86400.0 * int(days or 0) + total


def ask(*command: str) -> str:
    """What a command of Slurm prints. InputError if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise InputError(f"Slurm job {job_id()}: {command[0]} is not on PATH; put Slurm's commands there") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        raise InputError(f"Slurm job {job_id()}: {said[-1] if said else command[0] + ' failed'}; run again") from None
    return done.stdout.strip()
