"""Rotations: the rotated model computes the same in fp32, and outliers cost a quantized one less."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from llm.deploy.quantize.lazy_weights import LazyWeights
from llm.deploy.quantize.model import load_any
from llm.deploy.quantize.rotation import RotatedWeights, rotation
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import load_config, load_model
from llm.model.transformer import CausalLM
from tests.llm.weights import save_weights

SHAPES: list[dict] = [{}, {"tie_embeddings": False, "n_kv_heads": 6}, {"qkv_bias": True}, {"bias": True},
                      {"qk_norm": True}, {"position": "alibi"}]  # fmt: skip


def tokens(seed: int = 1) -> torch.Tensor:
    return torch.randint(8, 400, (4, 24), generator=torch.Generator().manual_seed(seed))


def filled(source: LazyWeights) -> CausalLM:
    """Return the model of unquantized weights."""
    model, tensors = CausalLM(source.config), dict(source.outside())
    for index in range(source.config.n_layers):
        tensors |= {f"model.layers.{index}.{name}": tensor for name, tensor in source.block(index).items()}
    model.load_state_dict(tensors)
    return model


@pytest.mark.parametrize("size", [8, 48, 64, 576, 9])
def test_rotations_are_orthogonal_and_even(size: int):
    found = rotation(size)
    assert torch.allclose(found @ found.T, torch.eye(size, dtype=torch.float64), atol=1e-12)
    assert torch.equal(found, rotation(size))
    if size & (size - 1) == 0:
        assert torch.allclose(found.abs(), torch.full_like(found, size**-0.5))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_rotated_model_computes_the_same(shape: dict, hf_directory: Callable[..., Path]):
    base = hf_directory("base", **shape)
    model = load_model(base)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(2)
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 2.0, generator=generator)
    save_weights(model, base / "model.safetensors", model.config.family)
    rotated = filled(RotatedWeights(base, load_config(base / "config.json")))
    with torch.no_grad():
        want, got = model(tokens()), rotated(tokens())
    assert want.std() > 0.1
    assert (got - want).abs().max() < 2e-5 * want.abs().max()
    assert not rotated.config.tie_embeddings
    old, new = model.model.layers[0].self_attn.v_proj.weight, rotated.model.layers[0].self_attn.v_proj.weight
    assert (old - new).norm() > 0.5 * old.norm()


@pytest.mark.parametrize("kind", ["rtn", "gptq", "awq"])
def test_it_combines_with_each_kind_and_saves_a_model_with_outliers(
    kind: str, hf_directory: Callable[..., Path], tmp_path: Path
):
    """Two of the hidden states are large everywhere, as in large models: their rows and columns spoil the groups."""
    base = hf_directory("base")
    model = load_model(base)
    with torch.no_grad():
        for layer in model.model.layers:
            for linear in (layer.self_attn.q_proj, layer.self_attn.v_proj, layer.mlp.up_proj, layer.mlp.gate_proj):
                linear.weight[:, :2] *= 12
    save_weights(model, base / "model.safetensors", "llama")
    errors = {}
    for rotated in (False, True):
        target = tmp_path / f"{rotated}"
        target.mkdir()
        method = Method(bits=4, group_size=None, kind=kind, scales="absmax", rotation=rotated)
        written = write_quantized(base, target, method, tokens(5), tmp_path / f"scratch-{rotated}")
        with torch.no_grad():
            errors[rotated] = float((load_any(target)(tokens()) - model(tokens())).norm())
        assert written.errors
    assert errors[True] < 0.9 * errors[False]
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "True", dtype=torch.float32)(tokens()).logits
        assert (theirs - load_any(tmp_path / "True")(tokens())).abs().max() < 1e-4


def test_norms_that_do_not_commute_are_refused(hf_directory: Callable[..., Path], tmp_path: Path):
    base = hf_directory("base", norm_order="post")
    (tmp_path / "q").mkdir()
    with pytest.raises(InputError, match="rotation needs RMSNorm before each part"):
        write_quantized(base, tmp_path / "q", replace(Method(bits=8), rotation=True), None, tmp_path / "scratch")
