"""The inventory: sums as the formulas say, spectra of known matrices, a changed bit named by its tensor."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm.errors import InputError
from llm.model.directory import load_config, load_model
from llm.package.inventory.settings import InventorySettings
from llm.package.inventory.tensors import changed, facts, facts_of, tying
from scripts.package import inventory
from tests.llm.weights import save_weights

GPT2 = {"position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 6}


@pytest.mark.parametrize(
    "changes", [{}, {"tie_embeddings": False}, {"qkv_bias": True}, {"qk_norm": True}, GPT2], ids=str
)
def test_the_sums_are_the_formulas(changes: dict, hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    told = inventory.main(hf_directory("base", **changes), tmp_path / "facts.json", settings=InventorySettings())
    assert told["parameters"] == told["expected"]
    assert told["tied"] is changes.get("tie_embeddings", True)
    assert told["dead_units"] == 0
    config = load_config(tmp_path / "base" / "config.json")
    assert told["kv_bytes_per_token"] == 2 * config.n_layers * config.n_kv_heads * config.d_head * 2
    assert told["kv_bytes"][config.context_length] == {
        "one request": told["kv_bytes_per_token"] * config.context_length
    }


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
    inventory.main(base, tmp_path / "facts.json", settings=InventorySettings())
    assert (tmp_path / "facts.json").read_text().count(after[0]["sha256"]) == 1


def test_tying_is_checked_against_what_the_files_hold(random_lm: Callable) -> None:
    tied, untied = random_lm(), random_lm(tie_embeddings=False)
    weights = dict(tied.state_dict())
    assert tying(tied.config, weights) == {"stated": True, "stored_twice": False, "equal": None, "cosine": None}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    twice = tying(tied.config, weights)
    assert (twice["stored_twice"], twice["equal"]) == (True, True) and twice["cosine"] == pytest.approx(1)
    weights["lm_head.weight"][3, 4] += 1
    assert tying(tied.config, weights)["equal"] is False
    told = tying(untied.config, untied.state_dict())
    rows = [untied.state_dict()[name].double() for name in ("model.embed_tokens.weight", "lm_head.weight")]
    cosine = (rows[0] * rows[1]).sum(1) / rows[0].norm(dim=1) / rows[1].norm(dim=1)
    assert told["stated"] is told["equal"] is False and told["cosine"] == pytest.approx(float(cosine.mean()), abs=1e-5)


def test_the_file_repeats_and_has_every_part(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    base, settings = hf_directory("base"), InventorySettings(prompt_tokens=6)
    for name in ("one", "two"):
        inventory.main(base, tmp_path / name, settings=settings)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = json.loads((tmp_path / "one").read_text())
    assert {block: len(layers) for block, layers in found["spectra"].items()} == {"embedding": 1} | dict.fromkeys(
        ("query", "key", "value", "output", "ffn_gate", "ffn_up", "ffn_down"), 2
    )
    assert {name: [len(row) for row in rows] for name, rows in found["heads"].items()} == {
        **dict.fromkeys(("query", "output", "entropy", "sink"), [6, 6]),
        **dict.fromkeys(("key", "value"), [2, 2]),
    }
    assert [len(prompt["heads"]) for prompt in found["prompts"]] == [12, 12]
