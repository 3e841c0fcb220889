"""The transformer against transformers' LlamaForCausalLM, and generation with a cache against none."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from llm.errors import InputError
from llm.model.cache import KVCache
from llm.model.config import ModelConfig, parameter_counts
from llm.model.directory import load_model, save_weights
from llm.model.transformer import CausalLM

SMALL = ModelConfig(97, 48, 3, 6, 2, 8, 80, 64)
VARIANTS = {
    "gqa, tied": SMALL,
    "mha, untied, d_head stated": dataclasses.replace(SMALL, n_kv_heads=6, tie_embeddings=False, d_head=12),
    "mqa, other theta and eps": dataclasses.replace(SMALL, n_kv_heads=1, rope_theta=500.0, norm_eps=1e-3),
}


def random_model(config: ModelConfig, seed: int = 0) -> CausalLM:
    """Every weight random, norms and zero-initialised projections too, so that no term can hide."""
    torch.manual_seed(seed)
    model = CausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0 if weight.ndim > 1 else 1.0, 0.2)
    return model.eval()


def write_directory(model: CausalLM, directory: Path) -> Path:
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(model.config.to_hf()))
    save_weights(model, directory / "model.safetensors")
    return directory


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    model = random_model(VARIANTS[name])
    directory = write_directory(model, tmp_path / "hf")
    theirs = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    tokens_BT = torch.randint(0, 97, (3, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(tokens_BT).logits
        assert (model(tokens_BT) - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)
        assert torch.equal(load_model(directory)(tokens_BT), model(tokens_BT))
    assert sum(weight.numel() for weight in theirs.parameters()) == parameter_counts(model.config)["total"]


def test_gradients_equal_transformers(tmp_path: Path) -> None:
    model = random_model(SMALL)
    theirs = AutoModelForCausalLM.from_pretrained(write_directory(model, tmp_path / "hf"), dtype=torch.float32)
    tokens_BT = torch.randint(0, 97, (2, 33), generator=torch.Generator().manual_seed(1))
    model(tokens_BT).logsumexp(-1).sum().backward()
    theirs(tokens_BT).logits.logsumexp(-1).sum().backward()
    expected = dict(theirs.named_parameters())
    for name, weight in model.named_parameters():
        assert torch.allclose(weight.grad, expected[name].grad, rtol=1e-4, atol=1e-3), name


@pytest.mark.parametrize("name", VARIANTS)
def test_cached_generation_equals_uncached(name: str) -> None:
    model = random_model(VARIANTS[name])
    tokens_BT = torch.randint(0, 97, (2, 20), generator=torch.Generator().manual_seed(2))
    cache = KVCache(model.config, 2, 20)
    with torch.no_grad():
        expected = model(tokens_BT)
        pieces = [model(tokens_BT[:, a:b], cache) for a, b in ((0, 7), (7, 8), (8, 9), (9, 16), (16, 20))]
    assert torch.allclose(torch.cat(pieces, dim=1), expected, atol=2e-5)
    assert cache.length_B.tolist() == [20, 20]


def test_ragged_batch_equals_each_row_alone() -> None:
    model = random_model(SMALL)
    generator = torch.Generator().manual_seed(3)
    rows = [torch.randint(0, 97, (length,), generator=generator) for length in (3, 11, 7)]
    length_B = torch.tensor([len(row) for row in rows])
    cache = KVCache(SMALL, 3, 24)
    with torch.no_grad():
        logits_BTV = model(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), cache)
        cache.truncate(length_B)
        next_B = logits_BTV[torch.arange(3), length_B - 1].argmax(-1)
        for _ in range(6):
            rows = [torch.cat((row, token[None])) for row, token in zip(rows, next_B, strict=True)]
            logits_BV = model(next_B[:, None], cache)[:, -1]
            alone_BV = torch.stack([model(row[None])[0, -1] for row in rows])
            assert torch.allclose(logits_BV, alone_BV, atol=2e-5)
            next_B = logits_BV.argmax(-1)
    assert cache.length_B.tolist() == [9, 17, 13]


def test_full_cache_is_refused() -> None:
    cache = KVCache(SMALL, 1, 4)
    with pytest.raises(InputError, match="holds 4 tokens, 5 are needed"):
        random_model(SMALL)(torch.zeros(1, 5, dtype=torch.int64), cache)


def test_damaged_directory_is_refused_by_name(tmp_path: Path) -> None:
    directory = write_directory(random_model(SMALL), tmp_path / "hf")
    weights = directory / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="model.safetensors cannot be read"):
        load_model(directory)
    weights.write_bytes(content)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(InputError, match="has model.layers.2"):
        load_model(directory)
    (directory / "config.json").write_text(json.dumps(config | {"hidden_size": 54}))
    with pytest.raises(InputError, match="has shape"):
        load_model(directory)
    (directory / "config.json").unlink()
    with pytest.raises(InputError, match="config.json is missing"):
        load_model(directory)
