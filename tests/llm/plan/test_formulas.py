"""The planner's formulas: closed forms of the papers, other counts of the same thing, properties."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm.errors import InputError
from llm.model import counts
from llm.model.config import ModelConfig
from llm.model.shape import Shape
from llm.model.transformer import CausalLM
from llm.plan import failures, flops, memory, pipeline, scaling, storage
from llm.plan.communication import communication, ring
from llm.plan.setup import Setup
from tests.llm.plan.models import LLAMA, MEGATRON, gpt3

GPT3 = gpt3(12288, 96, 96)
WIDTHS = st.sampled_from([64, 128, 768, 4096])
DEPTHS = st.integers(1, 128)


@pytest.mark.parametrize("position", ["rope", "learned", "alibi", "sinusoidal"])
@pytest.mark.parametrize("norm,bias", [("rmsnorm", False), ("layernorm", True), ("layernorm", False)])
@pytest.mark.parametrize("activation", ["swiglu", "gelu"])
@pytest.mark.parametrize("switches", itertools.product([False, True], repeat=3))
def test_parameters_are_those_of_the_model(position, norm, bias, activation, switches):
    """The count of a shape against the tensors of the model that llm/model builds."""
    tied, qk_norm, embedding_norm = switches
    section = {
        "d_model": 64, "n_layers": 3, "n_heads": 4, "n_kv_heads": 2, "d_ff": 96, "context_length": 32,
        "position": position, "norm": norm, "bias": bias, "activation": activation, "tie_embeddings": tied,
        "qk_norm": qk_norm, "embedding_norm": embedding_norm,
        "norm_order": "post" if position == "sinusoidal" else "pre",
    }  # fmt: skip
    config = ModelConfig.from_section(section, 500)
    with torch.device("meta"):
        built = CausalLM(config)
    assert counts.total(Shape.of(config)) == sum(weight.numel() for weight in built.parameters())
    assert counts.parameter_counts(config)["total"] == counts.total(Shape.of(config))


@given(WIDTHS, DEPTHS, st.integers(100, 300000), st.sampled_from([512, 2048, 8192]))
def test_megatron_equations(width, depth, vocab, sequence):
    """Narayanan et al. 2021: eq. 2 (parameters, final norm aside), eq. 3 (hardware FLOPs); Korthikanti, appendix A."""
    shape = Shape.gpt(width, depth, 4, vocab, sequence)
    h, layers = width, depth
    expected = 12 * layers * h * h * (1 + 13 / (12 * h) + (vocab + sequence) / (12 * layers * h))
    assert counts.total(shape) - 2 * h == pytest.approx(expected, rel=1e-12)
    base = 72 * layers * h * h
    logits = vocab / (12 * h * layers)
    assert flops.model_flops(shape, sequence) == pytest.approx(base * (1 + sequence / (6 * h) + logits))
    selective = flops.hardware_flops(shape, sequence, "selective")
    assert selective == pytest.approx(base * (1 + sequence / (3 * h) + logits))
    full = 96 * layers * h * h * (1 + sequence / (6 * h) + vocab / (16 * layers * h))
    assert flops.hardware_flops(shape, sequence, "full") == pytest.approx(full)


@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from([512, 2048]), st.integers(1, 8))
def test_activation_equations(tensor, sequence, micro):
    """Korthikanti et al. 2022, table 2, all six rows."""
    shape, h, heads = gpt3(12288, 96, 96), 12288, 96
    sbh, scores = sequence * micro * h, 5 * heads * sequence / h

    def kept(**setup):
        setup = Setup(micro_batch=micro, **setup)
        return memory.layer_activations(shape, sequence * micro, sequence, setup, fused=False)

    assert kept() == pytest.approx(sbh * (34 + scores))
    assert kept(tensor=tensor) == pytest.approx(sbh * (10 + 24 / tensor + scores / tensor))
    assert kept(tensor=tensor, sequence=True) == pytest.approx(sbh * (34 + scores) / tensor)
    assert kept(tensor=tensor, recompute="selective") == pytest.approx(sbh * (10 + 24 / tensor))
    assert kept(tensor=tensor, sequence=True, recompute="selective") == pytest.approx(sbh * 34 / tensor)
    assert kept(recompute="full") == pytest.approx(2 * sbh)


def test_selective_recomputation_saves_what_its_paper_says():
    """Korthikanti et al. 2022, section 5: 70% (GPT-3) and 65% (530B) of the activations for 2.7% and 1.6% of FLOPs."""
    for shape, saved, cost in ((GPT3, 0.70, 0.027), (MEGATRON["Megatron 529.6B"], 0.65, 0.016)):
        whole = memory.layer_activations(shape, 2048, 2048, Setup(), fused=False)
        less = memory.layer_activations(shape, 2048, 2048, Setup(recompute="selective"), fused=False)
        assert 1 - less / whole == pytest.approx(saved, abs=0.005)
        more = flops.hardware_flops(shape, 2048, "selective") / flops.model_flops(shape, 2048) - 1
        assert more == pytest.approx(cost, abs=0.0006)


@given(st.integers(1, 64), st.integers(1, 512), st.integers(1, 8))
def test_bubbles_are_one_time_over_two(stages, rounds, virtual):
    ideal = pipeline.bubble_over_ideal(stages, rounds, virtual)
    total = pipeline.bubble_over_total(stages, rounds, virtual)
    assert total == pytest.approx(ideal / (1 + ideal))
    assert pipeline.bubble_over_ideal(stages, rounds, 2 * virtual) == pytest.approx(ideal / 2)


@given(st.integers(1, 4096), st.sampled_from([0, 1, 2, 3]))
def test_zero_shares_out_and_loses_nothing(ranks, stage):
    whole, part = (sum(memory.state_bytes(1e9, zero, ranks).values()) for zero in (0, stage))
    assert whole == 16e9
    assert whole / ranks <= part * (1 + 1e-12) and part <= whole
    if stage == 3:
        assert part * ranks == pytest.approx(whole)


def test_communication_volumes():
    """ZeRO 1 and 2 send what an all-reduce sends, 3 half as much again (Rajbhandari 2020, section 7); sequence
    parallelism as much as tensor parallelism; 8 b s h (t-1)/t elements a layer (Narayanan 2021, section 3.2)."""
    sent = [communication(GPT3, Setup(data=64, zero=zero), 2048, 64)["data"] for zero in (0, 1, 2, 3)]
    assert sent[0] == sent[1] == sent[2]
    assert sent[3] == pytest.approx(1.5 * sent[0])
    assert sent[0] == pytest.approx(2 * ring(2 * counts.total(GPT3), 64))
    tensor = [communication(GPT3, Setup(tensor=8, sequence=some), 2048, 4)["tensor"] for some in (False, True)]
    assert tensor[0] == tensor[1] == pytest.approx(2 * 8 * 4 * 2048 * 12288 * 7 / 8 * 96)
    stages = communication(GPT3, Setup(pipeline=8, virtual=2), 2048, 16)["pipeline"]
    assert stages == 2 * 2 * 2 * 2048 * 12288 * 16


@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 4, 8, 16]))
def test_parameters_of_all_ranks_cover_the_model(tensor, stages):
    """The fullest rank holds at least its share; cut more finely, it never holds more."""
    shape = LLAMA["Llama 3 70B"]
    here = memory.rank_parameters(shape, Setup(tensor=tensor, pipeline=stages))[0]
    assert here * tensor * stages >= counts.total(shape) * 0.999
    assert memory.rank_parameters(shape, Setup(tensor=2 * tensor, pipeline=stages))[0] <= here


def test_chinchilla():
    """Hoffmann et al. 2022, tables 2, 3 and A3: sizes, tokens and exponents of its approaches."""
    for size, tokens, budget in ((1e9, 20.2e9, 1.21e20), (10e9, 205.1e9, 1.23e22), (1e12, 21.2e12, 1.27e26)):
        assert 6 * size * tokens == pytest.approx(budget, rel=0.01)
        assert scaling.tokens_by_power_law("approach 1", size) == pytest.approx(tokens, rel=0.05)
    fit = scaling.PARAMETRIC
    assert fit.beta / (fit.alpha + fit.beta) == pytest.approx(0.46, abs=0.01)
    for budget in (1e20, 5.76e23):
        size, tokens = fit.optimal(budget)
        least = fit.loss(size, tokens)
        assert 6 * size * tokens == pytest.approx(budget)
        assert least < min(fit.loss(size * f, tokens / f) for f in (0.9, 1.1))
        assert fit.optimal_tokens(size) == pytest.approx(tokens)
    size, tokens = scaling.REPLICATED.optimal(5.76e23)
    assert 15 < tokens / size < 30, "Besiroglu et al. 2024: about 20 tokens a parameter at Chinchilla's budget"


@given(st.floats(0.1, 600), st.floats(600, 1e7), st.floats(0, 3600))
def test_daly_loses_least(save, between, restart):
    """No other interval loses noticeably less: the whole curve of the exact expectation is scanned."""
    best = failures.lost_fraction(failures.daly(save, between), save, restart, between)
    scan = (failures.lost_fraction(between * 10 ** (p / 20), save, restart, between) for p in range(-120, 40))
    assert best <= min(scan) + 2e-3
    assert failures.young(save, between) == pytest.approx(math.sqrt(2 * save * between))


def test_llama3_failed_every_three_hours():
    assert failures.mean_time_between(16384) / 3600 == pytest.approx(54 * 24 / 419)


def test_cache_shrinks_with_the_heads_it_keeps():
    """G/H of multi-head attention for grouped, 1/H for multi-query attention (the seed)."""
    sizes = {kv: counts.kv_bytes_per_token(Shape.llama(4096, 32, 32, kv, 11008, 32000)) for kv in (32, 8, 1)}
    assert sizes == {32: 524288, 8: 524288 // 4, 1: 524288 // 32}
    assert storage.quantized_bytes(GPT3, 4) * 4 == storage.checkpoint_bytes(GPT3, "weights_bf16")


def test_wrong_names_are_refused():
    with pytest.raises(InputError, match="plan.formula"):
        flops.model_flops(GPT3, 2048, "7n")
    with pytest.raises(InputError, match="plan.layout.recompute"):
        flops.hardware_flops(GPT3, 2048, "half")
    with pytest.raises(InputError, match="plan.shape.n_heads"):
        Shape.llama(4096, 32, 32, 5, 11008, 32000)
