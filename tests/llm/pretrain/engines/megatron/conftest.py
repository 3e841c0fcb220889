"""Starting ranks takes seconds each time, so that the tests share one run of every layout."""

from pathlib import Path

import pytest
import torch.distributed as dist

from tests.llm.pretrain.engines.megatron.ranks import (
    FOUR,
    LAYOUTS,
    SINGLE,
    Run,
    halved_curve_of,
    on_ranks,
    run_of,
    skipped_by,
)

STEPS, MORE = 40, 10
QUICK = ("megatron", "DP2", "DP2, distributed optimizer", "TP2", "PP2", "CP2")  # each way to split by itself
EACH = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.thorough) for name in LAYOUTS]


class Runs(dict):
    """Every layout's Run, "torch" among them; what "halved" and "skipped", which have faults, return;
    "directory", where the checkpoints are. Those that are only thoroughly looked at run when one is asked for."""

    def __init__(self, directory: Path):
        super().__init__(directory=directory)
        layouts = {"torch": SINGLE, **LAYOUTS}
        self.jobs = {name: (layout, run_of, FOUR, STEPS, MORE, directory) for name, layout in layouts.items()}
        faults = {"halved": (LAYOUTS["DP2"], halved_curve_of, FOUR, 2), "skipped": (LAYOUTS["PP2"], skipped_by, FOUR)}
        self.update(on_ranks({name: self.jobs[name] for name in ("torch", *QUICK)} | faults))

    def __missing__(self, name: str) -> Run:
        self.update(on_ranks({each: job for each, job in self.jobs.items() if each not in self}))
        return self[name]


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(autouse=True)
def no_group_stays():
    """Engine megatron of one rank starts a process group in the process that it is built in."""
    yield
    if dist.is_initialized():
        dist.destroy_process_group()
