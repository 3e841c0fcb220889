"""Is work proportional to its input? Measured in CPU seconds of this thread, with one input and one twice as long."""

import gc
import time
from collections.abc import Callable

ENOUGH_S = 0.02  # below that a difference is noise
LARGEST = 25_000  # characters: what is not slow here is not superlinear
BOUND = 3.0  # twice the input takes twice the time, or four times if the work is quadratic
ATTEMPTS = 5


def seconds(work: Callable[[str], object], text: str, times: int = 2) -> float:
    """The least of some, without the collector of garbage, whose work goes by what the whole process holds."""
    found = []
    gc.disable()
    try:
        for _ in range(times):
            begin = time.thread_time()
            work(text)
            found.append(time.thread_time() - begin)
    finally:
        gc.enable()
    return min(found)


def assert_linear(work: Callable[[str], object], make: Callable[[int], str]) -> None:
    """`make(n)` is an input of n repetitions. It grows until the work takes long enough to be measured, or has LARGEST
    characters; in the first case twice as much must take less than BOUND times as long, in one of ATTEMPTS."""
    n = 50
    while seconds(work, text := make(n), 1) < ENOUGH_S or seconds(work, text) < ENOUGH_S:  # not the first call alone
        if len(text) >= LARGEST:
            return
        n = min(8 * n, n * LARGEST // len(text) + 1)
    ratios = []
    for _ in range(ATTEMPTS):
        taken = seconds(work, make(n))
        ratios.append(seconds(work, make(2 * n)) / max(taken, ENOUGH_S / 2))
        if ratios[-1] < BOUND:
            return
    raise AssertionError(f"twice the input takes {min(ratios):.1f} times as long ({len(make(n)):,} characters)")
