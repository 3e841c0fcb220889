"""Slopes, biases and sinusoids by the papers' own numbers; how weights start."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings

from llm.model.config import ModelConfig
from llm.model.positions import alibi_bias, alibi_slopes, rotary_frequencies, sinusoids
from llm.model.transformer import CausalLM, initialise
from tests.llm.model.architectures import GPT2, LLAMA, SCALINGS, configs, rope


def test_slopes_of_the_paper() -> None:
    """Press et al. 2021: 1/2 ... 1/2^8 for 8 heads, 2^-0.5 apart for 16; 12: 8's, then every other one of 16's."""
    assert alibi_slopes(8) == [2.0**-k for k in range(1, 9)]
    assert alibi_slopes(16) == pytest.approx([2 ** (-k / 2) for k in range(1, 17)])
    assert alibi_slopes(12) == pytest.approx([2.0**-k for k in range(1, 9)] + [2 ** (-k / 2) for k in (1, 3, 5, 7)])
    assert alibi_slopes(1) == [2.0**-8]


@pytest.mark.parametrize("n_heads", range(1, 41))
def test_slopes_equal_transformers(n_heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import _get_alibi_slopes

    assert alibi_slopes(n_heads) == pytest.approx(_get_alibi_slopes(n_heads, torch.device("cpu")).tolist(), rel=1e-5)


def test_bias_is_minus_slope_times_distance() -> None:
    bias_NTS = alibi_bias(torch.tensor([[2, 5]]), 6, 2)[0]
    assert bias_NTS[0, 0].tolist() == [-2 / 16, -1 / 16, 0.0, -math.inf, -math.inf, -math.inf]
    assert bias_NTS[1, 1].tolist() == [-(5 - s) / 256 for s in range(6)]


def test_sinusoids_alternate() -> None:
    first, second = sinusoids(torch.tensor([[0, 3]]), 4)[0].tolist()
    assert first == [0.0, 1.0, 0.0, 1.0]
    assert second == pytest.approx([math.sin(3), math.cos(3), math.sin(0.03), math.cos(0.03)], abs=1e-6)


def test_scalings_keep_fast_pairs_and_slow_the_others() -> None:
    plain_P, _ = rotary_frequencies(rope(d_head=64), 64, "cpu")
    for scaling in SCALINGS:
        scaled_P, factor = rotary_frequencies(rope(d_head=64, rope_scaling=scaling), 64, "cpu")
        assert (scaled_P <= plain_P * 1.0001).all() and (scaled_P >= plain_P / scaling["factor"] * 0.9999).all()
        assert factor == scaling.get("attention_factor", 0.1 * math.log(4) + 1 if scaling["rope_type"] == "yarn" else 1)


def test_default_weights_start_as_they_always_did() -> None:
    """One generator over all matrices in order, 0.02, zero where the residual stream is written."""
    model = initialise(CausalLM(LLAMA), seed=7)
    generator = torch.Generator().manual_seed(7)
    for name, weight in model.named_parameters():
        if "norm" in name:
            expected = torch.ones_like(weight)
        elif "o_proj" in name or "down_proj" in name:
            expected = torch.zeros_like(weight)
        else:
            expected = torch.empty_like(weight).normal_(0.0, 0.02, generator=generator)
        assert torch.equal(weight, expected), name


@pytest.mark.parametrize(("init", "factor"), [("normal", 1.0), ("scaled", 6**-0.5), ("zero_residual", 0.0)])
def test_other_starts(init: str, factor: float) -> None:
    """GPT-2 divides what writes to the residual stream by sqrt(2 layers); biases are zero, scales one."""
    model = initialise(CausalLM(dataclasses.replace(GPT2, d_ff=768, init=init, init_std=0.5)), seed=1)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            assert (weight == (0.0 if name.endswith("bias") else 1.0)).all(), name
        else:
            residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            assert weight.std().item() == pytest.approx(0.5 * (factor if residual else 1.0), rel=0.1), name


@settings(max_examples=15, deadline=None)
@given(config=configs())
def test_every_architecture_starts_finite(config: ModelConfig) -> None:
    model = initialise(CausalLM(config), seed=0)
    assert model(torch.arange(4)[None] % config.vocab_size).isfinite().all()
