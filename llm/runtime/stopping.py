"""Decides when to stop with the work saved: on SIGTERM, SIGINT or SIGUSR1, or before the job's time ends."""

import math
import signal
import sys
import threading
import time

from llm.errors import InputError
from llm.runtime import slurm

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
MARGIN = 60.0  # seconds before the limit, but no more than a tenth of it


def deadline(time_limit: float | None) -> float:
    """Return when to have stopped, in seconds since the epoch: a margin before `time_limit` minutes from now (None, 0:
    no limit) or before the end of the Slurm job, whichever is first; infinity without both."""
    now = time.time()
    seconds = min(60 * time_limit if time_limit else math.inf, slurm_end() - now)
    return now + seconds - min(MARGIN, seconds / 10)


def slurm_end() -> float:
    """Return the end of the Slurm job, in seconds since the epoch; infinity without one. Where Slurm does not say,
    warn: the job may be cut off, and then resumes from a recovery point."""
    job = slurm.job_id()
    try:
        return math.inf if job is None else slurm.end_time(job)
    except InputError as error:
        print(f"warning: {error}; training does not know when its time is over", file=sys.stderr, flush=True)
        return math.inf


class Stopping:
    """Tells training when to stop. deadline: in seconds since the epoch. While the context lasts, it handles the
    signals of the main thread."""

    def __init__(self, deadline: float) -> None:
        self.came = False
        self.deadline = time.monotonic() + deadline - time.time()
        self.before: dict = {}

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.stop) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def stop(self, number: int, frame: object) -> None:
        self.came = True

    def due(self, longest: float) -> bool:
        """Is it time to stop, given that another step may take `longest` seconds?"""
        return self.came or time.monotonic() + longest > self.deadline
