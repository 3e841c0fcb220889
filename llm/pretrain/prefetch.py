"""The next step's rows while a GPU is busy with this one: made by a thread, in pinned memory, so that the copy to the
GPU waits for nothing. On a CPU there is nothing to hide and nothing is done. Changes no row."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

import torch

from llm.runtime.device import default_device

Windows = Callable[[int, int, int], torch.Tensor]


class Stream(Protocol):
    """What training asks of its data; llm/pretrain/data.py has it from token shards."""

    context_length: int

    def rows(self, begin: int, first: int, count: int) -> torch.Tensor:
        """The windows begin + first ... begin + first + count - 1: int64 [count, T + 1]. Asked by two threads."""


def ahead(stream: Stream, per_step: int) -> Windows:
    """The stream's rows, made ahead where there is a GPU. per_step: windows of a step, by which `begin` grows."""
    device = default_device()
    return stream.rows if device.type == "cpu" else Prefetch(stream.rows, per_step, device)


class Prefetch:
    """Called as `rows`. What is asked for in a step will be asked for in the next, so that is begun; another question,
    as after a return to an earlier step, is answered as if there were no thread."""

    def __init__(self, rows: Windows, per_step: int, device: torch.device) -> None:
        self.rows, self.per_step, self.pinned = rows, per_step, device.type == "cuda"
        self.begun: dict[tuple[int, int, int], Future[torch.Tensor]] = {}
        # A thread begins on the first GPU, where pinning memory for another rank's would take memory.
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
