"""Every layout of engine megatron trains as one process of engine torch does, from the same weights."""

import math
from dataclasses import replace

import pytest
import torch

from tests.llm.pretrain.engines.megatron.conftest import EACH
from tests.llm.pretrain.engines.megatron.ranks import FOUR, LAYOUTS, SINGLE, curve_of, on_ranks
from tests.llm.pretrain.engines.runs import ADAMW, differences

LOSS, NORM = 1e-5, 1e-4
GPT2 = {"position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 4}
QWEN3 = {"qk_norm": True, "tie_embeddings": False, "z_loss": 1e-3, "rope_theta": 500000.0}
LLAMA3 = {
    "n_kv_heads": 4,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 4.0,
        "original_max_position_embeddings": 8,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    },
}
TWO = {name: layout for name, layout in LAYOUTS.items() if layout.world_size <= 2}


def curves(layouts: dict, *arguments) -> dict:
    return on_ranks({name: (layout, curve_of, *arguments) for name, layout in layouts.items()})


def assert_equal_curves(found: dict, wanted: list) -> None:
    for name, curve in found.items():
        loss, norm = differences(curve, wanted)
        assert loss <= LOSS, f"{name}: loss differs by {loss}"
        assert norm <= NORM, f"{name}: gradient norm differs by {norm}"


@pytest.mark.parametrize("name", EACH)
def test_fifty_steps_of_every_layout(name, runs):
    assert len(runs["torch"].curve) == 50
    assert_equal_curves({name: runs[name].curve}, runs["torch"].curve)


def test_a_halved_gradient_is_caught(runs):
    """The loss of the first step is the same, the norm is not: which is why it is compared."""
    faulty, wanted = runs["halved"], runs["torch"].curve[:2]
    assert abs(faulty[0][0] - wanted[0][0]) <= LOSS
    with pytest.raises(AssertionError, match="DP2: "):
        assert_equal_curves({"DP2": faulty}, wanted)


def test_a_step_that_is_not_finite_is_seen_by_all_and_skipped(runs):
    bad, good, same = runs["skipped"]
    assert all(math.isnan(value) for value in bad)
    assert good == pytest.approx(runs["PP2"].curve[2])
    assert same


@pytest.mark.parametrize("name", EACH)
def test_losses_of_single_tokens(name, runs):
    assert runs[name].losses == pytest.approx(runs["torch"].losses, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [GPT2, QWEN3, LLAMA3], ids=["gpt2", "qwen3", "llama3"])
def test_other_architectures(changes):
    config = replace(FOUR, **changes)
    assert_equal_curves(curves(LAYOUTS, config, 10), curve_of(SINGLE, config, 10))


@pytest.mark.slow
def test_multi_query_and_relu():
    config = replace(FOUR, n_kv_heads=1, activation="relu", norm="layernorm")
    layouts = {name: TWO[name] for name in ("megatron", "PP2", "CP2")}
    assert_equal_curves(curves(layouts, config, 10), curve_of(SINGLE, config, 10))


@pytest.mark.slow
def test_recomputation_changes_nothing():
    assert curves(TWO, FOUR, 5, torch.float32, "full") == curves(TWO, FOUR, 5)


@pytest.mark.slow
def test_embeddings_without_decay():
    arguments = FOUR, 10, torch.float32, "none", replace(ADAMW, weight_decay=1.0)
    assert_equal_curves(curves(TWO, *arguments), curve_of(SINGLE, *arguments))


@pytest.mark.slow
def test_bf16_stays_near():
    """bf16 weights with fp32 copies against autocast: other roundings, the same training."""
    wanted = curve_of(SINGLE, FOUR, 30, torch.bfloat16)
    for name, curve in curves(LAYOUTS, FOUR, 30, torch.bfloat16).items():
        assert differences(curve, wanted)[0] < 0.05, name
