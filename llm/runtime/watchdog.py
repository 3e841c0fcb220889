"""Ends a process whose training hangs in a collective or a driver call, where no exception can interrupt it. The other
ranks then end too, and the run resumes from its last recovery point when it is started again."""

import faulthandler
import os
import sys
import threading
import time

HUNG = 70  # EX_SOFTWARE of sysexits.h


class Watchdog:
    """Ends the process if `step_ended` is not called for `seconds`; 0: never. Use it as a context."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.step, self.at = 0, time.monotonic()
        self.over = threading.Event()

    def __enter__(self) -> "Watchdog":
        self.at = time.monotonic()
        if self.seconds:
            threading.Thread(target=self.watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()

    def step_ended(self, step: int) -> None:
        self.step, self.at = step, time.monotonic()

    def watch(self) -> None:
        while not self.over.wait(min(1.0, self.seconds / 4)):
            if time.monotonic() - self.at > self.seconds:
                faulthandler.dump_traceback(sys.stderr, all_threads=True)
                print(
                    f"error: no step has ended for {self.seconds:g} s, the last was {self.step}; the process is ended "
                    "(its stacks are in the log), run again to go on from the last recovery point",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(HUNG)
