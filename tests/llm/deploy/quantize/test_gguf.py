"""GGUF files of quantized models hold their levels: read back by gguf's own reader, and computed by ours."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch

from llm.deploy.quantize.model import load_any
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.package.importing.read import read_model
from scripts.deploy import export_quantized
from tests.llm.deploy.quantize.test_activations import drawn, logits, quantized
from tests.llm.package.gguf.test_gguf import READ, READERS

SIZES = {"d_model": 128, "n_heads": 4, "n_kv_heads": 2, "d_head": 32, "d_ff": 256}
GPT2 = {"position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 4}
WAYS = {
    "Q4_0": Method(bits=4, group_size=32, kind="gptq"),
    "Q4_0 of 64": Method(bits=4, group_size=64),
    "Q4_1": Method(bits=4, group_size=64, symmetric=False),
    "Q8_0": Method(bits=8),
    "Q8_0 of GPTQ's layout": Method(bits=8, group_size=128, format="gptq"),
}


@pytest.mark.parametrize("shape", [{}, GPT2], ids=["llama", "gpt2"])
@pytest.mark.parametrize("way", WAYS)
def test_levels_are_kept(way: str, shape: dict, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    """llama's rotated pairs are moved and gpt2's query, key and value joined; every row keeps its levels."""
    target = quantized(hf_directory("base", **SIZES | shape), WAYS[way], tmp_path)
    file = tmp_path / "model.gguf"
    told = export_quantized.main(target, file, name="small")
    kind = way[:4]
    assert told["tensors"][kind] == (14 if not shape else 8)
    model = load_any(target)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    down = tensors["blk.1.ffn_down.weight"]
    assert down.tensor_type.name == kind
    back = torch.from_numpy(gguf.quants.dequantize(down.data, down.tensor_type))
    want = model.get_submodule("model.layers.1.mlp.down_proj").dequantized()
    assert (back - want).abs().max() <= want.abs().max() / 500  # scales are fp16
    (tmp_path / "back").mkdir()
    found = read_model(file, tmp_path / "back").model
    tokens = drawn(9)[:4, :20]
    ours = logits(model, tokens)
    assert (logits(found, tokens) - ours).norm() < 5e-3 * ours.norm()
    again = tmp_path / "again.gguf"
    export_quantized.main(target, again, name="small")
    assert again.read_bytes() == file.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not READERS.exists(), reason="make readers sets up llama.cpp")
@pytest.mark.parametrize("shape", [{}, GPT2], ids=["llama", "gpt2"])
@pytest.mark.parametrize("way", WAYS)
def test_llama_cpp_computes_the_same(way: str, shape: dict, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    """But for its own rounding of inputs to 8 bits."""
    target = quantized(hf_directory("base", **SIZES | shape), WAYS[way], tmp_path)
    file = tmp_path / "model.gguf"
    export_quantized.main(target, file, name="small")
    ids = drawn(9)[:1, :20]
    command = [READERS, "-c", READ, file, "etaoin", json.dumps(ids[0].tolist())]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours, theirs = logits(load_any(target), ids)[0].log_softmax(-1), torch.tensor(told["logits"]).log_softmax(-1)
    assert (ours - theirs).abs().max() < 0.8
    assert (ours - theirs).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Method(bits=4, group_size=16), "has groups of 16; GGUF has blocks of 32"),
        (Method(bits=8, symmetric=False), "8 bits with zero points"),
        (Method(bits=8, activations="dynamic", smoothing=0), "rounds inputs, too"),
    ],
)
def test_other_grids_are_refused(method: Method, words: str, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    target = quantized(hf_directory("base", **SIZES), method, tmp_path)
    with pytest.raises(InputError, match=words):
        export_quantized.main(target, tmp_path / "model.gguf", name="small")


def test_kept_layers_are_f16(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    method = Method(bits=4, group_size=32, keep=("down_proj",))
    target = quantized(hf_directory("base", **SIZES), method, tmp_path)
    file = tmp_path / "model.gguf"
    told = export_quantized.main(target, file, name="small")
    types = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}
    assert told["tensors"]["Q4_0"] == 12
    assert types["blk.1.ffn_down.weight"] == "F16" and types["blk.1.ffn_up.weight"] == "Q4_0"
