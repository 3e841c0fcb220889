"""When to stop in peace: SIGTERM, SIGINT or SIGUSR1 came, or the job's time is about to end."""

import os
import signal
import threading
import time

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
MARGIN = 60.0  # seconds before the limit, but no more than a tenth of it


class Stopping:
    """`time_limit`: minutes from now on, None or 0 for what Slurm says, or none. Takes the signals over in the main
    thread while it lasts; use it as a context."""

    def __init__(self, time_limit: float | None) -> None:
        self.came = False
        self.deadline = float("inf")
        seconds = 60 * time_limit if time_limit else float(os.environ.get("SLURM_JOB_END_TIME", "inf")) - time.time()
        if seconds < float("inf"):
            self.deadline = time.monotonic() + seconds - min(MARGIN, seconds / 10)
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
