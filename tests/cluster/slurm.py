"""A real Slurm of two nodes on this host, for tests and for a first look: munged, slurmctld, one slurmd per node.

    python -m tests.cluster.slurm up      # n1 and n2, 4 CPUs, 4 GB and two pretended GPUs each
    python -m tests.cluster.slurm down

Needs root and Debian's slurm-wlm and munge. Everything listens on loopback alone. The configuration is
/etc/slurm/slurm.conf, since Snakemake's jobstep drops SLURM_CONF; one that is not from here is never touched.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

CONF, GRES = Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")
MARK = "# of Stemma's tests: python -m tests.cluster.slurm up\n"
PLACE = Path("/tmp/stemma-slurm")
MAIL = PLACE / "mail.txt"  # what Slurm would have sent
NODES = {"n1": 17001, "n2": 17002}
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
PATIENCE = 60.0


def missing() -> str | None:
    """Why no Slurm can be brought up here; None where it can."""
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} missing; apt-get install slurm-wlm munge"
    if CONF.exists() and not CONF.read_text().startswith(MARK):
        return f"{CONF} belongs to a Slurm of this site"
    return None


def configuration(place: Path, host: str) -> str:
    """slurm.conf: memory is watched and enforced, a dead node is noticed in seconds, nothing is requeued, jobs of a
    partition with a higher PriorityTier preempt others."""
    return (
        MARK
        + f"""ClusterName=stemma
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=300
JobRequeue=0
KillWait=10
SlurmdTimeout=15
MpiDefault=none
MailProg={place}/mail
GresTypes=gpu
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd-%n.log
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=4 RealMemory=4000 Gres=gpu:2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE OverTimeLimit=0 State=UP
"""
    )


def up(further: str = "") -> None:
    """Bring it up, unless it is; `further` lines of slurm.conf. Raises RuntimeError where it does not come."""
    start_munge()
    if CONF.exists() and answers():
        return
    (PLACE / "state").mkdir(parents=True, exist_ok=True)
    CONF.parent.mkdir(parents=True, exist_ok=True)
    CONF.write_text(configuration(PLACE, socket.gethostname().split(".")[0]) + further)
    for number in range(2):
        (PLACE / f"gpu{number}").touch()
    (PLACE / "mail").write_text(f'#!/bin/sh\necho "$@" >> {MAIL}\n')
    (PLACE / "mail").chmod(0o755)
    GRES.write_text(f"NodeName=n[1-2] Name=gpu File={PLACE}/gpu[0-1]\n")
    start_controller("-c")
    for node in NODES:
        start_node(node)
    wait_for(all_idle, "both nodes to be idle")


def down() -> None:
    """Stop it, with every job."""
    cancel_all()
    for node in NODES:
        kill_node(node)
    kill_controller()
    shutil.rmtree(PLACE, ignore_errors=True)
    CONF.unlink(missing_ok=True)
    GRES.unlink(missing_ok=True)


def recover() -> None:
    """Both nodes idle and the queue empty, whatever has died."""
    if not answers():
        start_controller()
    cancel_all()
    for node in NODES:
        if not is_running(node):
            start_node(node)
    wait_for(all_idle, "both nodes to be idle")


def cancel_all() -> None:
    """Take every job of every user out of the queue."""
    jobs = run("squeue", "--noheader", "-o", "%A", check=False).stdout.split()
    if jobs:
        run("scancel", "--quiet", *jobs, check=False)


def all_idle() -> bool:
    """Are they? A node that was given up as dead is brought back."""
    for node, state in states().items():
        if state in ("down", "drained"):
            run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
    return states() == dict.fromkeys(NODES, "idle")


def is_running(node: str) -> bool:
    """Is the node's daemon there?"""
    return run("pgrep", "-f", f"slurmd -N {node}$", check=False).returncode == 0


def start_munge() -> None:
    """The daemon that signs what the others say to each other."""
    if run("munge", "-n", check=False).returncode == 0:
        return
    place = Path("/run/munge")
    place.mkdir(exist_ok=True)
    shutil.chown(place, "munge", "munge")
    run("su", "-s", "/bin/sh", "munge", "-c", "/usr/sbin/munged --force")
    wait_for(lambda: run("munge", "-n", check=False).returncode == 0, "munged to answer")


def start_controller(*arguments: str) -> None:
    run("slurmctld", *arguments)
    wait_for(answers, "slurmctld to answer")


def kill_controller() -> None:
    """SIGKILL: what it did not write is lost."""
    kill(lambda words, _: words[0].endswith("slurmctld"))


def start_node(node: str, mount: str | None = None) -> None:
    """The node's daemon; `mount`: a shell command that first changes what it and its jobs see of this host's disks."""
    if mount is None:
        run("slurmd", "-N", node)
    else:
        run("unshare", "--mount", "--propagation", "private", "sh", "-c", f"{mount} && exec slurmd -N {node}")


def kill_node(node: str) -> None:
    """What a power failure does: its daemon and all processes of its jobs are gone at once; none says a last word."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        kill(
            lambda words, environ: words[0].endswith("slurmd") and node in words or is_on(node, words, environ), number
        )


def is_on(node: str, words: list[str], environ: list[str]) -> bool:
    """Does a process belong to a job on the node? A step's own manager has no environment that would say so."""
    if step := re.match(r"slurmstepd: \[(\d+)\.", words[0]):
        return step[1] in jobs_on(node)
    return f"SLURMD_NODENAME={node}" in environ


def jobs_on(node: str) -> list[str]:
    """Ids of the jobs that the node runs."""
    return run("squeue", "-h", "-w", node, "-o", "%A", check=False).stdout.split()


def states() -> dict[str, str]:
    """State of each node, as sinfo has it: idle, mix, alloc, down ..."""
    lines = run("sinfo", "-h", "-N", "-o", "%N %T", check=False).stdout.splitlines()
    return {node: state.rstrip("*~#!%$@^-") for node, state in (line.split() for line in lines)}


def answers() -> bool:
    """Does the controller answer?"""
    return run("scontrol", "ping", check=False).returncode == 0


def kill(is_meant: Callable[[list[str], list[str]], bool], number: int = signal.SIGKILL) -> None:
    """A signal to every process whose command line and environment are meant, but this one."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text(errors="replace").split("\0")
            environ = (folder / "environ").read_text(errors="replace").split("\0")
        except OSError:
            continue
        if words[0] and int(folder.name) != os.getpid() and is_meant(words, environ):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(folder.name), number)


def wait_for(happened: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Until it has happened; RuntimeError when patience ends."""
    end = time.monotonic() + patience
    while not happened():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {patience:.0f} s in vain for {what}; logs are in {PLACE}")
        time.sleep(0.2)


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)


if __name__ == "__main__":
    reason = missing()
    if reason or sys.argv[1:] not in (["up"], ["down"]):
        sys.exit(f"error: {reason}" if reason else f"error: {__doc__}")
    up() if sys.argv[1] == "up" else down()
