"""Decides when the Slurm executor polls its jobs: soon while a job is young, ever more rarely as it gets old.

Unpatched, it waits ten seconds longer after every poll that found nothing ended: a job of six seconds is noticed after
sixteen, and one that is submitted while an old job runs after minutes. Here a poll comes when a tenth of the youngest
job's age has passed since the last one. It patches the executor's class; tests/stemma/cluster/test_polling.py.
"""

import asyncio
import time

from stemma.base.patches import put
from stemma.cluster.submission import is_told_to_end

SHARE = 0.1  # of the youngest job's age: the longest delay that polling may add
RAREST = 180.0  # seconds: squeue forgets a job after the cluster's MinJobAge, 300 as a rule


def ask_in_proportion(executor_class: type) -> None:
    """Replace the executor's sleep between two polls; its `init_seconds_before_status_checks` is the shortest."""

    async def sleep(executor) -> None:
        shortest, asked = executor.workflow.executor_settings.init_seconds_before_status_checks, time.monotonic()
        while True:
            await asyncio.sleep(shortest)
            waited = time.monotonic() - asked
            if not executor.wait or is_told_to_end(executor) or waited >= patience(executor, time.monotonic()):
                return

    put(executor_class, "Executor.sleep", sleep)


def patience(executor, now: float) -> float:
    """Return the seconds between two polls, for the jobs that are active now."""
    with executor.lock:
        ages = [now - info.aux.setdefault("since", now) for info in executor.active_jobs]
    return min(RAREST, SHARE * min(ages, default=0.0))
