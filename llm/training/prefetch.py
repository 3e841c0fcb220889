"""Makes the next step's rows while a GPU is busy with this one: by a thread, in pinned memory, so that the copy to the
GPU waits for nothing. On a CPU nothing is prefetched. The rows are the same either way."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol, runtime_checkable

import torch

from llm.runtime.device import default_device
from llm.training.engine import Part

Items = Callable[[int, int, int], Part]


class Stream(Protocol):
    """An endless source of items to train on; llm/pretrain/data.py makes one of token shards."""

    def rows(self, begin: int, first: int, count: int) -> Part:
        """Return items begin + first ... begin + first + count - 1, where a batch begins at `begin`. Two threads may
        call it."""

    def tokens_of(self, begin: int, count: int) -> int:
        """Return how many tokens the items begin ... begin + count - 1 have."""


@runtime_checkable
class OnPolicy(Stream, Protocol):
    """A stream whose items the model makes that is trained: none can be made ahead, and later steps may need those of
    earlier ones."""

    def state(self) -> dict:
        """Return what the steps from here on need, for JSON."""

    def restore(self, state: dict | None) -> None:
        """Go on from what `state` returned; None: from the beginning."""


def ahead(stream: Stream, per_step: int) -> Items:
    """Return the stream's rows, prefetched where there is a GPU. per_step: items of a step, by which `begin` grows."""
    device = default_device()
    return (
        stream.rows if device.type == "cpu" or isinstance(stream, OnPolicy) else Prefetch(stream.rows, per_step, device)
    )


class Prefetch:
    """Called like `rows`. What is asked for in a step will be asked for in the next, so that is begun at once; any
    other request, as after a rollback, is answered directly."""

    def __init__(self, rows: Items, per_step: int, device: torch.device) -> None:
        self.rows, self.per_step, self.pinned = rows, per_step, device.type == "cuda"
        self.begun: dict[tuple[int, int, int], Future[Part]] = {}
        # A new thread starts on the first GPU, where pinning memory for another rank's GPU would take memory.
        prepare = partial(torch.cuda.set_device, device) if self.pinned else None
        self.thread = ThreadPoolExecutor(1, "rows", prepare)

    def __call__(self, begin: int, first: int, count: int) -> Part:
        found = self.begun.pop((begin, first, count), None)
        result = self.made(begin, first, count) if found is None else found.result()
        following = (begin + self.per_step, first, count)
        self.begun = {key: future for key, future in self.begun.items() if key[0] in (begin, following[0])}
        self.begun[following] = self.thread.submit(self.made, *following)
        return result

    def made(self, begin: int, first: int, count: int) -> Part:
        part = self.rows(begin, first, count)
        return part.pin_memory() if self.pinned else part
