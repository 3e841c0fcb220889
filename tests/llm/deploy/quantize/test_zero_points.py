"""Grids with zero points: against theory, against the symmetric search, and in the readers of both layouts."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationConfig
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from llm.deploy.quantize.gptq import gptq
from llm.deploy.quantize.hessian import product_error, whole
from llm.deploy.quantize.model import load_any, load_quantized
from llm.deploy.quantize.operators import run_quantized
from llm.deploy.quantize.scales import searched_scales
from llm.deploy.quantize.zero_points import searched_grid, spanned_grid
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import read_config
from llm.model.rounding import QuantizedWeight, quantize_weight, rounded
from tests.llm.deploy.quantize.correlated import corrected, generator, inputs
from tests.llm.deploy.quantize.test_activations import drawn, logits, quantized

ASYMMETRIC = Method(bits=4, group_size=32, symmetric=False)
SIZES = {"d_model": 128, "n_heads": 4, "n_kv_heads": 2, "d_head": 32, "d_ff": 256}
METHODS = {
    "largest weights": replace(ASYMMETRIC, scales="absmax"),
    "32": ASYMMETRIC,
    "64": replace(ASYMMETRIC, group_size=64),
    "128": replace(ASYMMETRIC, group_size=128),
    "channel": replace(ASYMMETRIC, group_size=None),
    "gptq": replace(ASYMMETRIC, kind="gptq"),
    "awq": replace(ASYMMETRIC, kind="awq", group_size=64),
    "rotated": replace(ASYMMETRIC, kind="gptq", rotation=True),
    "8 bits": Method(bits=8, symmetric=False),
}


def weighted(found: QuantizedWeight, weight: torch.Tensor, h_K: torch.Tensor) -> torch.Tensor:
    """The square error of each group of 16."""
    return ((found.dequantized() - weight).square() * h_K).unflatten(1, (-1, 16)).sum(-1)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_grid_with_a_zero_point_spans_its_weights(bits: int):
    """Weights from -1 to 4 by 15 (255) steps are kept; symmetric levels would leave half of theirs unused."""
    weight = torch.linspace(-1, 4, 2**bits)[None]
    scale, _, zero = spanned_grid(weight, bits, None)
    assert scale.item() == pytest.approx(5 / (2**bits - 1))
    found = rounded(weight, scale, bits, zero)
    assert (found.dequantized() - weight).abs().max() <= scale / 2 * 1.001
    assert found.q_NK.unique().numel() == 2**bits
    assert (rounded(torch.zeros(1, 8), *spanned_grid(torch.zeros(1, 8), bits, None)).dequantized() == 0).all()


def test_searched_grids_are_never_worse_than_searched_scales():
    weight = torch.randn(32, 64, generator=generator())
    weight[:8] += 0.8
    weight[0, :16] = 0
    h_K = inputs(200, 64).square().sum(0)
    found = rounded(weight, *searched_grid(weight, 4, 16, h_K))
    scales = rounded(weight, searched_scales(weight, 4, 16, h_K), 4)
    spanned = rounded(weight, *spanned_grid(weight, 4, 16))
    assert (weighted(found, weight, h_K) <= weighted(scales, weight, h_K)).all()
    assert weighted(found, weight, h_K).sum() < 0.9 * weighted(scales, weight, h_K).sum()
    assert weighted(found, weight, h_K).sum() < 0.9 * weighted(spanned, weight, h_K).sum()
    assert found.dequantized()[0, :16].abs().max() == 0
    assert found.zero_NG is not None and found.zero_NG.unique().numel() > 4


def test_gptq_on_zero_points_finds_what_trying_all_neighbours_finds():
    x = inputs(64, 6, seed=5)
    x[:, 3:] += x[:, :3] * 2
    h_KK = x.T @ x
    weight, scale = torch.rand(20, 6, generator=generator(7)) * 3, torch.full((20, 1), 0.3)
    zero = torch.full((20, 1), -7, dtype=torch.int8)
    up = torch.tensor(list(itertools.product((0.0, 1.0), repeat=6)))
    changes = ((weight / 0.3).floor()[:, None] + up) * 0.3 - weight[:, None]
    best = float(((changes @ h_KK) * changes).sum(-1).amin(-1).sum())
    found = gptq(weight, corrected(h_KK, damping=1e-6), scale, 4, zero_NG=zero)
    assert product_error(found.dequantized() - weight, whole(h_KK)) <= best * 1.01
    symmetric = gptq(weight, corrected(h_KK, damping=1e-6), scale, 4)  # whose levels end at 7 x 0.3
    assert product_error(symmetric.dequantized() - weight, whole(h_KK)) > 3 * best
    diagonal = gptq(weight, corrected(torch.eye(6)), scale, 4, zero_NG=zero)
    assert torch.equal(diagonal.q_NK, rounded(weight, scale, 4, zero).q_NK)


def decompressed(target: Path) -> torch.nn.Module:
    """transformers' model with what compressed-tensors makes of each packed matrix. (compressed-tensors 0.20 prepares
    an unpacked place for zero points, so that transformers 5.23 refuses even its own files.)"""
    stated = read_config(target / "config.json")
    scheme = QuantizationConfig.model_validate(stated.pop("quantization_config")).config_groups["group_0"]
    tensors = load_file(target / "model.safetensors")
    for name in [name.removesuffix("_packed") for name in tensors if name.endswith("weight_packed")]:
        prefix = name.removesuffix("weight")
        own = {
            key.removeprefix(prefix): tensors.pop(key) for key in list(tensors) if key.startswith(prefix + "weight_")
        }
        tensors[name] = PackedQuantizationCompressor.decompress(own, scheme)["weight"]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**stated))
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert (set(missing) <= {"lm_head.weight"}, unexpected) == (True, [])
    return model.eval()


@pytest.mark.parametrize("name", METHODS)
def test_compressed_tensors_reads_the_same_zero_points(name: str, hf_directory: Callable[..., Path], tmp_path: Path):
    base = hf_directory("base", **SIZES)
    target = quantized(base, METHODS[name], tmp_path)
    tokens = drawn(9)[:4, :20]
    ours, full = logits(load_any(target), tokens), logits(load_any(base), tokens)
    assert torch.equal(logits(load_quantized(target, keep_dense=False), tokens), ours)
    assert 0 < (ours - full).norm() < 0.6 * full.norm()
    assert (logits(decompressed(target), tokens) - ours).norm() < 1e-5 * ours.norm()
    stored = load_file(target / "model.safetensors")
    assert sum(name.endswith("zero_point") for name in stored) == 14


def test_zero_points_run_packed(hf_directory: Callable[..., Path], tmp_path: Path):
    """torch's int4 operator has an offset for each group; the model is that of dequantized bf16 weights."""
    target = quantized(hf_directory("base", **SIZES), ASYMMETRIC, tmp_path)
    tokens = drawn(9)[:4, :20]
    full = logits(load_any(target), tokens)
    dense, packed = (logits(run_quantized(load_quantized(target), how), tokens).float() for how in ("dense", "weights"))
    assert (packed - full).norm() < 2 * (dense - full).norm() < 0.1 * full.norm()


@pytest.mark.parametrize(
    ("changes", "shape", "words"),
    [
        ({"bits": 8, "group_size": None, "activations": "dynamic"}, {}, "need symmetric: true"),
        (
            {"bits": 8, "group_size": None, "per_tensor": True, "format": "gptq"},
            {},
            "and format: compressed-tensors",
        ),
        ({"format": "gptq"}, {"d_ff": 260}, "format gptq packs 8 at a time; choose format: compressed-tensors"),
    ],
)
def test_what_no_layout_holds_is_refused(
    changes: dict, shape: dict, words: str, hf_directory: Callable[..., Path], tmp_path: Path
):
    with pytest.raises(InputError, match=words):
        quantized(hf_directory("base", **SIZES | shape), replace(ASYMMETRIC, **changes), tmp_path)


def test_bad_weights_are_refused():
    for make in (spanned_grid, searched_grid):
        with pytest.raises(InputError, match="not finite"):
            make(torch.tensor([[1.0, float("nan")]]), 4, None)
        with pytest.raises(InputError, match="no whole number of groups"):
            make(torch.ones(2, 6), 4, 4)


def test_a_symmetric_grid_is_one_with_zero_points_of_zero():
    weight = torch.randn(8, 32, generator=generator())
    found = quantize_weight(weight, 4, 16)
    zero = torch.zeros_like(found.scale_NG, dtype=torch.int8)
    assert torch.equal(rounded(weight, found.scale_NG, 4, zero).q_NK, found.q_NK)
    h_KK = inputs(50, 32).T @ inputs(50, 32)
    one, two = (gptq(weight, corrected(h_KK), found.scale_NG, 4, zero_NG=each) for each in (None, zero))
    assert torch.equal(one.q_NK, two.q_NK)
