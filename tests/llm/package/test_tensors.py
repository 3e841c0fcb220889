"""The inventory: sums as the formulas say, spectra of known matrices, a changed bit named by its tensor."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm.errors import InputError
from llm.model.directory import load_model
from llm.package.tensors import changed, facts, facts_of
from scripts.package import inventory
from tests.llm.weights import save_weights

GPT2 = {"position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 6}


@pytest.mark.parametrize(
    "changes", [{}, {"tie_embeddings": False}, {"qkv_bias": True}, {"qk_norm": True}, GPT2], ids=str
)
def test_the_sums_are_the_formulas(changes: dict, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    told = inventory.main(hf_directory("base", **changes), tmp_path / "facts.json")
    assert told["parameters"] == told["expected"]
    assert told["tied"] is changes.get("tie_embeddings", True)
    assert told["dead_units"] == 0


def test_spectra_and_heads_of_known_matrices(random_lm: Callable) -> None:
    config = random_lm().config
    query = torch.zeros(48, 48)
    query[0, 0], query[9, 1] = 3.0, 4.0  # heads 0 and 1, singular values 4 and 3
    found = facts(config, "model.layers.1.self_attn.q_proj.weight", query)
    assert (found.block, found.layer, found.norm) == ("query", 1, 5.0)
    assert found.largest == pytest.approx(4.0)
    assert found.rank == pytest.approx(25 / 16)
    assert found.heads == [3.0, 4.0, 0.0, 0.0, 0.0, 0.0]
    up = torch.ones(96, 48)
    up[5] = 0
    assert facts(config, "model.layers.0.mlp.up_proj.weight", up).dead == 1
    with pytest.raises(InputError, match="belongs to no block"):
        facts(config, "model.layers.0.mlp.router.weight", up)


def test_a_changed_bit_is_named(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    base = hf_directory("base")
    model = load_model(base)
    before = facts_of(model.config, model.state_dict())
    weight = model.model.layers[1].mlp.down_proj.weight
    with torch.no_grad():
        weight.view(torch.int32)[3, 4] ^= 1
    after = facts_of(model.config, model.state_dict())
    assert list(changed(before, after)) == ["model.layers.1.mlp.down_proj.weight"]
    save_weights(model, base / "model.safetensors", "llama")
    inventory.main(base, tmp_path / "facts.json")
    assert (tmp_path / "facts.json").read_text().count(after[0]["sha256"]) == 1
