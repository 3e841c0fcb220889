"""Asks squeue and sinfo about the Slurm job that this process is in.

The environment does not tell: Snakemake's jobstep removes the SLURM_* variables except the job's id, and Slurm 22.05
has none for the end of a job.
"""

import os
import subprocess
import time

from llm.errors import InputError


def job_id() -> str | None:
    """Return the id of the Slurm job that this process is in; None outside one."""
    return os.environ.get("SLURM_JOB_ID")


def node_name() -> str | None:
    """Return Slurm's name of this machine; None if Slurm did not start this process."""
    return os.environ.get("SLURMD_NODENAME")


def node_count(job: str) -> int:
    return int(ask("squeue", "--noheader", f"--jobs={job}", "--format=%D"))


def address_of(node: str) -> str:
    """Return a node's address: an IP address or a name that resolves, as the node's own name may not."""
    return ask("sinfo", "--noheader", "--Node", f"--nodes={node}", "--format=%o").split()[0]


def end_time(job: str) -> float:
    """Return when the job's time is over, in seconds since the epoch; infinity without a limit."""
    if "SLURM_JOB_END_TIME" in os.environ:
        return float(os.environ["SLURM_JOB_END_TIME"])
    return time.time() + seconds(ask("squeue", "--noheader", f"--jobs={job}", "--format=%L"))


def seconds(text: str) -> float:
    """Parse Slurm's [days-][[hours:]minutes:]seconds; infinity for UNLIMITED and anything else."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in [days or "0", *parts]):
        return float("inf")
    total = 0
    for part in parts:
        total = 60 * total + int(part)
    return 86400.0 * int(days or 0) + total


def ask(*command: str) -> str:
    """Return what a command of Slurm prints. Raises InputError if it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise InputError(f"Slurm job {job_id()}: {command[0]} is not on PATH; put Slurm's commands there") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        raise InputError(f"Slurm job {job_id()}: {said[-1] if said else command[0] + ' failed'}; run again") from None
    return done.stdout.strip()
