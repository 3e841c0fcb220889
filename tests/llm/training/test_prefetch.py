"""Rows made ahead are the rows that would have been made, in whatever order they are asked for."""

import threading
from types import SimpleNamespace

import torch

from llm.training.prefetch import Prefetch, ahead


def window(begin: int, first: int, count: int) -> torch.Tensor:
    return torch.arange(begin + first, begin + first + count)[:, None]


def test_the_next_step_is_made_by_another_thread_and_no_row_is_another() -> None:
    made: list[tuple[int, bool]] = []

    def rows(begin: int, first: int, count: int) -> torch.Tensor:
        made.append((begin, threading.current_thread() is threading.main_thread()))
        return window(begin, first, count)

    prefetch = Prefetch(rows, 12, torch.device("cpu"))
    for begin in (0, 12, 24, 0, 12, 60):  # goes back, and leaves batches out
        for first, count in ((4, 3), (7, 1)):
            assert torch.equal(prefetch(begin, first, count), window(begin, first, count))
        assert len(prefetch.begun) == 2
    prefetch.thread.shutdown()
    assert {begin for begin, here in made if here} == {0, 60}  # only what could not be foreseen was waited for
    assert {begin for begin, here in made if not here} >= {12, 24}


def test_a_cpu_makes_its_rows_itself() -> None:
    stream = SimpleNamespace(rows=window, context_length=0)
    assert ahead(stream, 12) is window
