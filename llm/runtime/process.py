"""Process identity: whether a process is still the same one, and how it dies with its parent.

stemma/base/process.py has its own few lines of this: neither side imports the other.
"""

import ctypes
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def kernel() -> str | None:
    """Return boot id and PID namespace of this process (Linux; elsewhere None)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def started(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None if it has ended or is a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if status[0] == "Z" else status[19]


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this signal when the parent dies (Linux; elsewhere a rank ends at its next collective)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
