"""When to stop in peace: SIGTERM, SIGINT or SIGUSR1 came, or the job's time is about to end."""

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
    """When to have stopped, in seconds since the epoch: a margin before `time_limit` minutes from now (None, 0: no
    limit) or before the end of the Slurm job, whichever is first; infinity without both."""
    now = time.time()
    seconds = min(60 * time_limit if time_limit else math.inf, slurm_end() - now)
    return now + seconds - min(MARGIN, seconds / 10)


def slurm_end() -> float:
    """A job of which Slurm does not say when it ends may be cut off there, and goes on from a recovery point."""
    job = slurm.job_id()
    try:
        return math.inf if job is None else slurm.end_time(job)
    except InputError as error:
        print(f"warning: {error}; training does not know when its time is over", file=sys.stderr, flush=True)
        return math.inf


class Stopping:
    """deadline: in seconds since the epoch. Takes the signals over in the main thread while it lasts; use it as a
    context."""

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
        """Now, if another step of `longest` seconds might not end in time."""
        return self.came or time.monotonic() + longest > self.deadline
