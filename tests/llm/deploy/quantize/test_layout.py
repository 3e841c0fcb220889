"""Layers that a method keeps as they are: in the files, in config.json, in every reader, and what may be kept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from llm.deploy.quantize.layout import layout_for, layout_of
from llm.deploy.quantize.model import load_any
from llm.deploy.quantize.operators import run_quantized
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import read_config
from tests.llm.deploy.quantize.test_activations import drawn, logits, quantized

INT4, W8A8 = Method(bits=4, group_size=16), Method(bits=8, activations="dynamic")
QKV, FFN = ("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj")
METHODS = {
    "int4": replace(INT4, keep=("down_proj",)),
    "int4 without calibration": replace(INT4, scales="absmax", keep=(*QKV, "o_proj")),
    "gptq": replace(INT4, kind="gptq", keep=FFN),
    "awq": replace(INT4, kind="awq", keep=("o_proj", *QKV)),
    "zero points": replace(INT4, symmetric=False, keep=QKV),
    "w8a8": replace(W8A8, keep=("down_proj",)),
    "w8a8, what its inputs fold into": replace(W8A8, keep=(*QKV, *FFN)),
    "w8a8, gptq": replace(W8A8, kind="gptq", keep=("o_proj", "down_proj")),
    "w8a8, fixed": replace(W8A8, activations="static", keep=FFN),
}


@pytest.mark.parametrize("name", METHODS)
def test_kept_layers_are_those_of_the_model(name: str, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    method = METHODS[name]
    base = hf_directory("base")
    target = quantized(base, method, tmp_path)
    stored, before = load_file(target / "model.safetensors"), load_file(base / "model.safetensors")
    config = read_config(target / "config.json")["quantization_config"]
    assert config["ignore"] == ["lm_head", *(rf"re:.*\.{kept}$" for kept in method.keep)]
    assert layout_of({"quantization_config": config}, "") == layout_for(method, method.group_size)
    kept = [key for key in before if key.split(".")[-2] in method.keep]
    assert len(kept) == 2 * len(method.keep)
    for key in kept:
        assert f"{key}_scale" not in stored
        # Where inputs are smoothed or scaled, rows of what stays may have taken factors; here none has.
        assert torch.equal(stored[key], before[key]), key
    assert sum(key.endswith("weight_scale") for key in stored) == 14 - len(kept)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "zero points"])  # which transformers cannot load
def test_transformers_reads_them(name: str, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    target = quantized(hf_directory("base"), METHODS[name], tmp_path)
    tokens = drawn(9)[:4, :20]
    ours = logits(load_any(target), tokens)
    theirs = logits(AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32), tokens)
    near_BT = (theirs - ours).norm(dim=-1) / ours.norm(dim=-1)
    assert (near_BT < 1e-5).float().mean() > 0.25  # else where a last bit put an input on the next level
    assert near_BT.max() < 0.05


def test_rounding_fewer_inputs_errs_less(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    base = hf_directory("base")
    tokens = drawn(9)[:4, :20]
    full = logits(load_any(base), tokens)
    errors = [
        float((logits(load_any(quantized(base, method, tmp_path, name)), tokens) - full).norm())
        for name, method in {"all": W8A8, "some": replace(W8A8, keep=("down_proj",))}.items()
    ]
    assert 0 < errors[1] < errors[0]


@pytest.mark.parametrize("products", ["weights", "activations"])
def test_the_server_runs_them(products, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    target = quantized(hf_directory("base"), METHODS["w8a8"], tmp_path)
    tokens = drawn(9)[:4, :20]
    near = logits(run_quantized(load_any(target), products), tokens).float()
    dense = logits(load_any(target), tokens)
    assert (near - dense).norm() < 0.1 * dense.norm()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keep": ("q_proj",)}, "keep names q_proj, but not k_proj, v_proj, with which readers join it"),
        ({"keep": ("up_proj", "down_proj")}, "keep names up_proj, but not gate_proj"),
        ({"keep": ("o_proj",), "format": "gptq"}, "keep needs format: compressed-tensors"),
        ({"keep": (*QKV, *FFN, "o_proj", "down_proj")}, "keep names every layer, so nothing would be quantized"),
    ],
)
def test_what_cannot_be_kept_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        layout_for(Method(**{"bits": 8} | changes), None)
