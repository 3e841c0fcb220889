"""Processes: is one still there, is it the one that was meant, and what becomes of it when its parent dies.

llm/runtime/process.py has its own few lines of this: neither side imports the other.
"""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def space() -> str:
    """Which boot of which machine, which container; empty where the system does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + str(Path("/proc/self/ns/pid").readlink())
    return ""


def born(pid: int) -> str | None:
    """When a process of this machine began, in ticks since the boot; None where there is none, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] == "Z" else fields[19]


def is_alive(pid: int) -> bool:
    """Does a process with this id run on this host? A zombie does not, though containers without an init keep it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # not Linux, or gone a moment ago: then the next one sweeps
        return True
    return status.rpartition(")")[2].split()[0] != "Z"


def die_with_parent() -> None:
    """Asks the kernel for SIGKILL when the parent dies (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
