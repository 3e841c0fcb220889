"""Keeps two jobs from training one run at a time: a lease in a directory that both see, by link(2), which NFS supports.

The lease is the file `lease-<n>` with the highest n. Whoever links `lease-<n + 1>` holds it from then on; link fails if
the name exists, so of two that try one succeeds. The holder renews it in the same way, so each renewal also proves that
nobody has taken over; a process that was suspended finds out before it writes anything. An owner whose number has
stopped growing is taken for dead. No flock, no other host's clock and no rename over a file is involved.
"""

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path

from llm.errors import InputError
from llm.runtime import slurm
from llm.runtime.process import kernel, started

RENEW_SECONDS = 5.0
TAKEOVER_SECONDS = 60.0


class Lease:
    """A lease on `directory`, held from construction until `release`. Raises InputError if another job holds it.

    `name`: what is leased, for messages. `renew`: seconds between renewals. An owner that shows no sign of life for
    `takeover` seconds of this process's clock is replaced."""

    def __init__(
        self, directory: Path, name: str, renew: float = RENEW_SECONDS, takeover: float = TAKEOVER_SECONDS
    ) -> None:
        self.directory, self.name = directory, name
        self.lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        self.number = self.acquire(takeover)
        self.lost = False
        self.ended = threading.Event()
        threading.Thread(target=self.beat, args=(renew,), daemon=True).start()

    def acquire(self, takeover: float) -> int:
        """Return the number under which the lease is ours. Waits for at most `takeover` seconds."""
        seen, since = None, time.monotonic()
        while True:
            highest = newest(self.directory)
            owner = read(self.directory / f"lease-{highest}") if highest else {}
            if owner is None:  # renewed since it was listed
                continue
            if not owner or is_dead(owner):
                if self.link(highest + 1):
                    return highest + 1
                continue
            if highest != seen and seen is not None:
                raise InputError(
                    f"{self.name} is being trained by process {owner['pid']} on {owner['host']}"
                    f"{' (Slurm job ' + owner['slurm_job'] + ')' if owner['slurm_job'] else ''}; wait for it or stop it"
                )
            if seen is not None and time.monotonic() - since > takeover:
                if self.link(highest + 1):
                    return highest + 1
                continue
            seen = highest
            time.sleep(min(0.2, takeover / 10))

    def link(self, number: int, owner: dict | None = None) -> bool:
        """Make `lease-<number>` ours; False if it is somebody's, or an old number that had been cleared away."""
        target = self.directory / f"lease-{number}"
        temporary = self.directory / f".lease-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
        try:
            temporary.write_text(json.dumps(myself() if owner is None else owner))
            target.hardlink_to(temporary)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        if newest(self.directory) != number:
            target.unlink(missing_ok=True)
            return False
        for path in self.directory.glob("lease-*"):
            if number_of(path) < number:
                path.unlink(missing_ok=True)
        return True

    def check(self) -> None:
        """Renew the lease. Raises InputError if another job has taken over: then nothing may be written any more."""
        with self.lock:
            if self.lost or not self.link(self.number + 1):
                self.lost = True
                raise InputError(
                    f"another job has taken {self.name} over, since this one gave no sign of life; this one ends"
                )
            self.number += 1

    def beat(self, renew: float) -> None:
        """Renew until the end. A loss is kept for the next `check`."""
        while not self.ended.wait(renew):
            with contextlib.suppress(InputError, OSError):  # a full disk loses nothing: the next renewal may succeed
                self.check()

    def release(self) -> None:
        """Give the lease up, so that the next job need not wait."""
        self.ended.set()
        with self.lock, contextlib.suppress(OSError):
            if not self.lost:
                self.link(self.number + 1, owner={})


def newest(directory: Path) -> int:
    """Return the highest number; 0 without a lease."""
    return max(map(number_of, directory.glob("lease-*")), default=0)


def number_of(path: Path) -> int:
    return int(path.name.removeprefix("lease-"))


def read(path: Path) -> dict | None:
    """Return the owner in a lease, {} if it was given up; None if the file is gone."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:  # cut short when a machine stopped: the owner is unknown
        return {"host": "an unknown host", "pid": 0, "kernel": None, "slurm_job": None}


def myself() -> dict:
    """Return this process as an owner. `kernel` is equal for two processes only if process ids mean the same to
    both."""
    return {
        "host": slurm.node_name() or socket.gethostname(),
        "pid": os.getpid(),
        "started": started(os.getpid()),
        "kernel": kernel(),
        "slurm_job": slurm.job_id(),
    }


def is_dead(owner: dict) -> bool:
    """Is it certain that the owner has ended? It can only be if its process id can be looked up here."""
    return owner["kernel"] is not None and owner["kernel"] == kernel() and started(owner["pid"]) != owner["started"]
