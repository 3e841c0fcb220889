"""GPTQ's own layout: unpacked by its description, and what it cannot hold."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm.deploy.quantize import gptq_layout
from llm.deploy.quantize.model import load_any
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import read_config
from llm.model.rounding import QuantizedWeight
from tests.llm.deploy.quantize.test_activations import drawn, logits, quantized

ASYMMETRIC = Method(bits=4, group_size=32, symmetric=False)
SIZES = {"d_model": 128, "n_heads": 4, "n_kv_heads": 2, "d_head": 32, "d_ff": 256}


@pytest.mark.parametrize("method", [ASYMMETRIC, Method(bits=4, group_size=64), Method(bits=8)], ids=str)
def test_gptq_s_layout_holds_the_same_model(method: Method, hf_directory: Callable[..., Path], tmp_path: Path):
    """Scales are fp16 there; levels and zero points are unpacked here as GPTQModel's documentation has it."""
    base = hf_directory("base", **SIZES)
    one = quantized(base, method, tmp_path, "one")
    two = quantized(base, replace(method, format="gptq"), tmp_path, "two")
    stated = read_config(two / "config.json")["quantization_config"]
    assert (stated["quant_method"], stated["bits"], stated["sym"]) == ("gptq", method.bits, method.symmetric)
    assert stated["group_size"] == (method.group_size or -1)
    tokens = drawn(9)[:4, :20]
    first, second = logits(load_any(one), tokens), logits(load_any(two), tokens)
    assert 0 < (first - second).norm() < 2e-3 * first.norm()
    stored, name = load_file(two / "model.safetensors"), "model.layers.1.mlp.down_proj"
    qweight, qzeros, scales, g_idx = (stored[f"{name}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx"))
    assert (scales.dtype, len(scales)) == (torch.float16, 256 // (method.group_size or 256))
    shifts, mask = torch.arange(0, 32, method.bits), 2**method.bits - 1
    q_KN = ((qweight[:, None] >> shifts[None, :, None]) & mask).flatten(0, 1)
    zero_GN = ((qzeros[:, :, None] >> shifts) & mask).flatten(1) + (stated["checkpoint_format"] == "gptq")
    dense_KN = (q_KN - zero_GN[g_idx]) * scales.float()[g_idx]
    want = load_any(two).get_submodule(name).dequantized()
    assert torch.allclose(dense_KN.T, want, atol=1e-7)


def test_another_order_of_groups_is_refused(hf_directory: Callable[..., Path], tmp_path: Path):
    target = quantized(hf_directory("base", **SIZES), replace(ASYMMETRIC, format="gptq"), tmp_path)
    tensors = load_file(target / "model.safetensors")
    name = "model.layers.0.mlp.up_proj"
    save_file(tensors | {f"{name}.g_idx": tensors[f"{name}.g_idx"].flip(0)}, target / "model.safetensors")
    with pytest.raises(InputError, match=rf"{name} is not packed as \[256, 128\]"):
        load_any(target)
    config = target / "config.json"
    config.write_text(config.read_text().replace("gptq_v2", "marlin"))
    with pytest.raises(InputError, match="its kind of gptq weights cannot be read"):
        load_any(target)


def test_scales_beyond_fp16_are_refused_and_tiny_ones_kept():
    weight = QuantizedWeight(torch.ones(8, 8, dtype=torch.int8), torch.full((8, 1), -1e-9), 4)
    assert (gptq_layout.stored_tensors("up", weight)["up.scales"] < 0).all()
    with pytest.raises(InputError, match="a scale of up is beyond fp16"):
        gptq_layout.stored_tensors("up", replace(weight, scale_NG=torch.full((8, 1), 1e6)))
