"""Two jobs never train one run: a lease in a directory that both can see, by link(2) alone, which NFS does right.

The lease is the file `lease-<n>` of the highest n. Whoever can link `lease-<n + 1>` has it from then on, and link fails
if it is there: of two that try one succeeds. The holder renews in the same way, so that each renewal is also the proof
that nobody has taken over meanwhile; a process that was suspended finds out before it writes anything. A number that
does not grow is what an owner without a pulse looks like. No flock, no clock of another host, no rename over a file.
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
    """Held from the constructor on, which raises InputError if another job holds it, until `release`. `name`: what is
    leased, for messages. An owner without a sign of life is watched for `takeover` seconds of this process's clock."""

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
        """The number under which it is ours. Waits for at most `takeover` seconds."""
        seen, since = None, time.monotonic()
        while True:
            highest = newest(self.directory)
            owner = read(self.directory / f"lease-{highest}") if highest else {}
            if owner is None:  # renewed between the two looks
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
        """Renews. InputError if another job has taken over: then nothing may be written any more."""
        with self.lock:
            if self.lost or not self.link(self.number + 1):
                self.lost = True
                raise InputError(
                    f"another job has taken {self.name} over, since this one gave no sign of life; this one ends"
                )
            self.number += 1

    def beat(self, renew: float) -> None:
        """Renews until the end. A loss is kept for the next `check`."""
        while not self.ended.wait(renew):
            with contextlib.suppress(InputError, OSError):  # a full disk is no loss; the next renewal may succeed
                self.check()

    def release(self) -> None:
        """Give it up: the next job need not wait."""
        self.ended.set()
        with self.lock, contextlib.suppress(OSError):
            if not self.lost:
                self.link(self.number + 1, owner={})


def newest(directory: Path) -> int:
    """The highest number; 0 without a lease."""
    return max(map(number_of, directory.glob("lease-*")), default=0)


def number_of(path: Path) -> int:
    return int(path.name.removeprefix("lease-"))


def read(path: Path) -> dict | None:
    """The owner in a lease, {} if it was given up; None if the file is gone."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:  # cut short when a machine stopped: nobody knows whose it is
        return {"host": "an unknown host", "pid": 0, "kernel": None, "slurm_job": None}


def myself() -> dict:
    """Who holds a lease. `kernel`: the same for two processes only if process ids mean the same to both."""
    return {
        "host": slurm.node_name() or socket.gethostname(),
        "pid": os.getpid(),
        "started": started(os.getpid()),
        "kernel": kernel(),
        "slurm_job": slurm.job_id(),
    }


def is_dead(owner: dict) -> bool:
    """Is it certain that the owner runs no more? Only where its process id can be looked up."""
    return owner["kernel"] is not None and owner["kernel"] == kernel() and started(owner["pid"]) != owner["started"]
