"""A segment on engine megatron that is killed again and again ends with the bytes of one that never was."""

from dataclasses import replace
from pathlib import Path

import pytest

from llm.training.engines.layout import Layout
from tests.llm.pretrain.toy import MODEL, digests, ended, make_inputs, start, train

LAYOUTS = {
    "dp2-distributed-optimizer": {"data": 2, "sharding": "optimizer"},
    "tp2": {"tensor": 2},
    "tp2-sp": {"tensor": 2, "sequence": True},
    "pp2": {"pipeline": 2, "micro_batch": 2},
    "pp2-interleaved": {"pipeline": 2, "virtual": 2, "micro_batch": 2},
    "cp2": {"context": 2},
    "tp2-pp2": {"tensor": 2, "pipeline": 2, "micro_batch": 2},
}
KILLS = 10


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_kills_change_nothing(name: str, tmp_path: Path) -> None:
    """Any rank, any step; recovery points are canonical pieces, so they are cut and joined on the way."""
    inputs = make_inputs(tmp_path, replace(MODEL, n_layers=4))
    changes = {"parallel": {"engine": "megatron"} | LAYOUTS[name], "optimizer": "adamw", "recovery_every": 3}
    train(inputs, tmp_path / "clean", **changes)
    world_size = Layout(**changes["parallel"]).world_size
    resumed = 0
    for number in range(KILLS):
        faults = {"kill": [number % world_size, 3 * number + 4 + number % 3], "sleep": 0.05}
        status, _, err = ended(start(inputs, tmp_path / "killed", faults, scratch=tmp_path / "scratch", **changes))
        assert status != 0
        resumed += "going on from step" in err
    train(inputs, tmp_path / "killed", scratch=tmp_path / "scratch", **changes)
    assert resumed >= KILLS / 2
    assert digests(tmp_path / "killed") == digests(tmp_path / "clean")
