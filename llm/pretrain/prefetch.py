"""Makes the next step's rows while a GPU is busy with this one: by a thread, in pinned memory, so that the copy to the
GPU waits for nothing. On a CPU nothing is prefetched. The rows are the same either way."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

import torch

from llm.runtime.device import default_device

Windows = Callable[[int, int, int], torch.Tensor]


class Stream(Protocol):
    """A source of training rows; llm/pretrain/data.py makes one of token shards."""

    context_length: int

    def rows(self, begin: int, first: int, count: int) -> torch.Tensor:
        """Return windows begin + first ... begin + first + count - 1: int64 [count, T + 1]. Two threads may call it."""


def ahead(stream: Stream, per_step: int) -> Windows:
    """Return the stream's rows, prefetched where there is a GPU. per_step: windows of a step, by which `begin`
    grows."""
    device = default_device()
    return stream.rows if device.type == "cpu" else Prefetch(stream.rows, per_step, device)


class Prefetch:
    """Called like `rows`. What is asked for in a step will be asked for in the next, so that is begun at once; any
    other request, as after a rollback, is answered directly."""

    def __init__(self, rows: Windows, per_step: int, device: torch.device) -> None:
        self.rows, self.per_step, self.pinned = rows, per_step, device.type == "cuda"
        self.begun: dict[tuple[int, int, int], Future[torch.Tensor]] = {}
        # A new thread starts on the first GPU, where pinning memory for another rank's GPU would take memory.
        prepare = partial(torch.cuda.set_device, device) if self.pinned else None
        self.thread = ThreadPoolExecutor(1, "rows", prepare)

    def __call__(self, begin: int, first: int, count: int) -> torch.Tensor:
        found = self.begun.pop((begin, first, count), None)
        result = self.made(begin, first, count) if found is None else found.result()
        following = (begin + self.per_step, first, count)
        self.begun = {key: future for key, future in self.begun.items() if key[0] in (begin, following[0])}
        self.begun[following] = self.thread.submit(self.made, *following)
        return result

    def made(self, begin: int, first: int, count: int) -> torch.Tensor:
        tokens_BT = self.rows(begin, first, count)
        return tokens_BT.pin_memory() if self.pinned else tokens_BT
