"""Sharded safetensors: read back whole by this project and by transformers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from transformers import AutoModelForCausalLM

from llm.errors import InputError
from llm.model.directory import load_model, read_tensors
from llm.package.shards import DTYPES, write_shards


def test_shards_hold_what_one_file_does(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    base = hf_directory("base")
    whole, want = read_tensors(base / "model.safetensors"), load_model(base)
    one = (base / "model.safetensors").read_bytes()
    (tmp_path / "one").mkdir()
    write_shards(whole.items(), tmp_path / "one", 10**9)
    assert (tmp_path / "one/model.safetensors").read_bytes() == one
    (base / "model.safetensors").unlink()
    write_shards(whole.items(), base, limit=40_000)
    shards = sorted(base.glob("*.safetensors"))
    assert len(shards) > 2
    # A shard is at most so large, unless it is one tensor.
    assert all(file.stat().st_size < 45_000 or len(read_tensors(file)) == 1 for file in shards)
    assert not list(base.glob("*.part"))
    tokens = torch.arange(8, 28)[None]
    with torch.no_grad():
        expected = want(tokens)
        assert torch.equal(load_model(base)(tokens), expected)
        theirs = AutoModelForCausalLM.from_pretrained(base)(tokens).logits
    assert (theirs - expected).abs().max() < 1e-5


def test_a_file_has_the_bytes_of_the_safetensors_package(tmp_path: Path) -> None:
    """Of every dtype, of tensors without elements, without axes, and not contiguous."""
    tensors = {
        f"{place}.{str(dtype).removeprefix('torch.')}": torch.arange(6).view(2, 3).T.to(dtype)
        for dtype in DTYPES
        for place in ("b", "a", "é")
    }
    tensors |= {"none": torch.zeros(0, 3), "one": torch.tensor(2.5), "last": torch.zeros(3, dtype=torch.int8)}
    write_shards(tensors.items(), tmp_path, 10**9)
    want = save({name: tensor.contiguous() for name, tensor in tensors.items()}, {"format": "pt"})
    assert (tmp_path / "model.safetensors").read_bytes() == want
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_sharded_model_without_a_shard_is_refused_when_it_is_loaded(hf_directory: Callable[..., Path]):
    base = hf_directory("base")
    write_shards(read_tensors(base / "model.safetensors").items(), base, 40_000)
    (base / "model.safetensors").unlink()
    next(base.glob("model-00002*")).unlink()
    with pytest.raises(InputError, match="model-00002-of-.* is missing"):
        load_model(base)
