"""What one layout wrote another reads: through canonical tensors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from llm.errors import InputError
from llm.model.transformer import CausalLM, initialise
from llm.training.engines.layout import Layout
from tests.llm.pretrain.engines.megatron.conftest import EACH, MORE, STEPS
from tests.llm.pretrain.engines.megatron.ranks import FOUR, LAYOUTS, SINGLE, continued_by, name_of, on_ranks, run_of
from tests.llm.pretrain.engines.runs import differences

SHARDED = {name: layout for name, layout in LAYOUTS.items() if layout.sharding == "optimizer"} | {
    "1, distributed optimizer": Layout("megatron", sharding="optimizer")
}
PLAIN = {name: layout for name, layout in LAYOUTS.items() if layout.sharding == "none"}


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", EACH)
def test_state_has_the_names_and_shapes_of_engine_torch(name, runs):
    shapes = {key: array.shape for key, array in runs["torch"].saved.items()}
    assert shapes.keys() >= initialise(CausalLM(FOUR), 3).state_dict().keys()
    assert {key: array.shape for key, array in runs[name].saved.items()} == shapes


@pytest.mark.parametrize("name", EACH)
def test_one_process_continues_what_ranks_began(name, runs):
    """TP2, PP2, DP2, ... to 1, and from engine megatron to engine torch."""
    run = runs[name]
    continued = continued_by(SINGLE, FOUR, runs["directory"] / name_of(LAYOUTS[name]), STEPS, MORE)
    assert equal(continued.saved, run.saved)
    assert differences(continued.curve, run.curve[STEPS:])[0] <= 1e-6


def test_engine_megatron_continues_what_engine_torch_began(runs):
    run = runs["torch"]
    continued = continued_by(LAYOUTS["megatron"], FOUR, runs["directory"] / name_of(SINGLE), STEPS, MORE)
    assert equal(continued.saved, run.saved)
    assert differences(continued.curve, run.curve[STEPS:])[0] <= 1e-6


def test_a_checkpoint_from_before_the_first_update(tmp_path):
    assert begun_at_once("megatron", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DP2, distributed optimizer", "TP2 + SP"])
def test_ranks_begin_at_once(name, tmp_path):
    assert begun_at_once(name, tmp_path)


def begun_at_once(name: str, directory: Path) -> bool:
    """Is training that goes on from a checkpoint of step 0 the one that went on without it?"""
    layout = LAYOUTS[name]
    began = on_ranks({name: (layout, run_of, FOUR, 0, 3, directory)})[name]
    run = on_ranks({name: (layout, continued_by, FOUR, directory / name_of(layout), 0, 3)})[name]
    return run.curve == began.curve and equal(run.end, began.end)


@pytest.mark.parametrize("changes", [{"d_ff": 72}, {"n_layers": 8}, {"tie_embeddings": False}])
def test_a_checkpoint_of_another_model_is_refused(changes, runs):
    with pytest.raises(InputError, match="missing or of another shape"):
        continued_by(LAYOUTS["megatron"], replace(FOUR, **changes), runs["directory"] / name_of(SINGLE), STEPS, 1)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layouts_continue_what_others_began(dtype, tmp_path):
    """Twenty steps within 1e-6; on the same layout, bit for bit."""
    layouts = PLAIN | SHARDED
    began = on_ranks({name: (layout, run_of, FOUR, 5, 20, tmp_path, dtype) for name, layout in layouts.items()})
    jobs = {}
    for source in layouts:
        kin = ("megatron", "TP2 + SP", "PP2, interleaved") if source in PLAIN else SHARDED
        for target in {source, *kin}:
            saved = tmp_path / name_of(layouts[source])
            jobs[source, target] = (layouts[target], continued_by, FOUR, saved, 5, 20, dtype)
    for (source, target), run in on_ranks(jobs).items():
        assert equal(run.saved, began[source].saved), (source, target)
        if source == target:
            assert run.curve == began[source].curve[5:], source
            assert equal(run.end, began[source].end), source
        elif dtype == torch.float32:
            assert differences(run.curve, began[source].curve[5:])[0] <= 1e-6, (source, target)
