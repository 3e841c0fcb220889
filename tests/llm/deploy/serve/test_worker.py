"""The engine's thread: whoever waits is told when a step fails."""

import asyncio

import torch

from llm.deploy.serve.worker import EngineFailed, Worker
from llm.inference.engine import Engine
from llm.inference.sequence import Request


def test_a_failed_step_leaves_nobody_waiting(random_lm) -> None:
    """Neither those that run, nor those that came while it ran, nor those after it."""
    engine = Engine(random_lm())
    worker = Worker(engine, lambda _: None, lambda _: None)
    engine.model.model.norm.weight.data = torch.ones(3)  # it fits nothing

    async def ask() -> list[tuple[int, object]]:
        told: asyncio.Queue = asyncio.Queue()
        for index in range(20):
            worker.submit(Request([8] * 40, 2), index, told)
        found = [await asyncio.wait_for(told.get(), 60) for _ in range(20)]
        worker.submit(Request([8], 1), 20, told)
        return [*found, await asyncio.wait_for(told.get(), 60)]

    found = asyncio.run(ask())
    assert sorted(index for index, _ in found) == list(range(21))
    assert all(isinstance(error, EngineFailed) and "must match" in str(error) for _, error in found)
    worker.stop()
    assert not worker.thread.is_alive()
