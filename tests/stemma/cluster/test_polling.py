"""The Slurm executor asks in proportion to its youngest job's age; its own way of counting is replaced."""

import asyncio
import inspect
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake_executor_plugin_slurm import Executor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from stemma.cluster.polling import RAREST, SHARE, ask_in_proportion, patience


def executor_with(ages: list[float], now: float = 0.0, shortest: float = 0.01) -> SimpleNamespace:
    """As much of an executor as sleeps: jobs that were first seen so many seconds ago."""
    jobs = [SimpleNamespace(aux={"since": now - age}) for age in ages]
    settings = SimpleNamespace(init_seconds_before_status_checks=shortest)
    workflow = SimpleNamespace(executor_settings=settings, scheduler=SimpleNamespace(_user_kill=None))
    return SimpleNamespace(lock=threading.Lock(), active_jobs=jobs, wait=True, workflow=workflow)


def test_the_executor_sleeps_by_the_method_that_is_replaced():
    assert Executor.sleep is RemoteExecutor.sleep
    assert "await self.sleep()" in inspect.getsource(RemoteExecutor._wait_for_jobs)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_youngest_job_counts(ages):
    assert patience(executor_with(ages), 0.0) == pytest.approx(min(RAREST, SHARE * min(ages)))


def test_a_job_counts_from_when_it_is_first_seen():
    executor = executor_with([])
    executor.active_jobs.append(SimpleNamespace(aux={"slurm_logfile": "a"}))
    assert patience(executor, 100.0) == 0
    assert patience(executor, 150.0) == pytest.approx(5)


def test_without_jobs_it_asks_at_once():
    assert patience(executor_with([]), 0.0) == 0


def test_a_new_job_shortens_a_sleep_that_has_begun():
    class Some:
        async def sleep(self): ...

    ask_in_proportion(Some)
    executor = executor_with([1000.0], time.monotonic())

    async def both() -> float:
        begun = time.monotonic()
        sleeping = asyncio.create_task(Some.sleep(executor))
        await asyncio.sleep(0.1)
        assert not sleeping.done()
        executor.active_jobs.append(SimpleNamespace(aux={}))
        await asyncio.wait_for(sleeping, 5)
        return time.monotonic() - begun

    assert asyncio.run(both()) < SHARE * 1000


@pytest.mark.parametrize("told", ["over", "SIGTERM"])
def test_it_wakes_when_the_run_is_over_or_told_to_end(told):
    class Some:
        async def sleep(self): ...

    ask_in_proportion(Some)
    executor = executor_with([1e6], time.monotonic())
    if told == "over":
        executor.wait = False
    else:
        executor.workflow.scheduler._user_kill = "graceful"
    asyncio.run(asyncio.wait_for(Some.sleep(executor), 5))
