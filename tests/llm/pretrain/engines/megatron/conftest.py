"""Starting ranks takes seconds each time, so that the quick tests share one run of every layout."""

import pytest
import torch.distributed as dist

from tests.llm.pretrain.engines.megatron.ranks import (
    FOUR,
    LAYOUTS,
    SINGLE,
    halved_curve_of,
    on_ranks,
    run_of,
    skipped_by,
)

STEPS, MORE = 40, 10


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict:
    """Every layout's Run, "torch" among them; what "halved" and "skipped", which have faults, return;
    "directory", where the checkpoints are."""
    directory = tmp_path_factory.mktemp("checkpoints")
    layouts = {"torch": SINGLE, **LAYOUTS}
    jobs = {name: (layout, run_of, FOUR, STEPS, MORE, directory) for name, layout in layouts.items()}
    faults = {"halved": (LAYOUTS["DP2"], halved_curve_of, FOUR, 2), "skipped": (LAYOUTS["PP2"], skipped_by, FOUR)}
    return on_ranks(jobs | faults) | {"directory": directory}


@pytest.fixture(autouse=True)
def no_group_stays():
    """Engine megatron of one rank starts a process group in the process that it is built in."""
    yield
    if dist.is_initialized():
        dist.destroy_process_group()
