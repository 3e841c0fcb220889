"""Starting ranks takes seconds each time, so that the quick tests share one run of every layout."""

import pytest
import torch.distributed as dist

from tests.llm.parallel.megatron.ranks import FOUR, LAYOUTS, SINGLE, halved_curve_of, on_ranks, run_of

STEPS, MORE = 40, 10


@pytest.fixture(scope="session")
def runs() -> dict:
    """Every layout's Run, "torch" among them, and the curve of "halved", which has a fault."""
    jobs = {name: (layout, run_of, FOUR, STEPS, MORE) for name, layout in {"torch": SINGLE, **LAYOUTS}.items()}
    return on_ranks(jobs | {"halved": (LAYOUTS["DP2"], halved_curve_of, FOUR, 2)})


@pytest.fixture(autouse=True)
def no_group_stays():
    """Engine megatron of one rank starts a process group in the process that it is built in."""
    yield
    if dist.is_initialized():
        dist.destroy_process_group()
