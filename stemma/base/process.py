"""Process identity: whether a process still runs, whether it is the same one, and how it dies with its parent.

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
    """Identify the boot and the PID namespace (machine or container) that process ids are valid in; "" if unknown."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + str(Path("/proc/self/ns/pid").readlink())
    return ""


def born(pid: int) -> str | None:
    """Return when a process of this machine started, in ticks since boot; None where there is none or it is a
    zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] == "Z" else fields[19]


def is_alive(pid: int) -> bool:
    """Does a process with this id run on this host? A zombie does not count, though containers without an init keep
    it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # not Linux, or it ended just now: the next sweep finds out
        return True
    return status.rpartition(")")[2].split()[0] != "Z"


def die_with_parent() -> None:
    """Ask the kernel to send SIGKILL to this process when its parent dies (Linux only; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
