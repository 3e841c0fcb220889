"""ModelConfig: what is refused, with which words, and the way to config.json and back."""

import dataclasses
import subprocess
import sys

import pytest

from llm.errors import InputError
from llm.model.config import ModelConfig, parameter_counts

SECTION = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 96, "context_length": 32}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"d_model": 66}, "model.d_model: 66 is not divisible by model.n_heads: 4"),
        ({"n_kv_heads": 3}, "model.n_heads: 4 is not divisible by model.n_kv_heads: 3"),
        ({"d_head": 15}, "model.d_head: 15 is odd"),
        ({"d_model": 60}, "model.d_head: 15 is odd"),
        ({"n_layers": 0}, "model.n_layers: 0 is not a positive whole number"),
        ({"d_ff": -1}, "model.d_ff: -1"),
        ({"d_model": "64"}, "model.d_model: '64'"),
        ({"n_heads": 0}, "model.n_heads: 0"),
        ({"context_length": True}, "model.context_length: True"),
        ({"context_length": 0}, "model.context_length: 0"),
        ({"rope_theta": 0}, "model.rope_theta: 0"),
        ({"tie_embeddings": "yes"}, "model.tie_embeddings: 'yes'"),
        ({"n_head": 4}, "model.n_head: unknown key"),
    ],
)
def test_bad_section_is_refused_in_one_line(change: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        ModelConfig.from_section(SECTION | change, 128)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_key_is_named() -> None:
    with pytest.raises(InputError, match="model.n_layers is missing"):
        ModelConfig.from_section({key: value for key, value in SECTION.items() if key != "n_layers"}, 128)


def test_defaults_of_sizes() -> None:
    config = ModelConfig.from_section({"d_model": 192, "n_layers": 1, "n_heads": 3, "context_length": 8}, 64)
    assert (config.n_kv_heads, config.d_head, config.d_ff) == (3, 64, 512)


def test_stated_d_head_frees_d_model() -> None:
    assert ModelConfig.from_section(SECTION | {"d_model": 66, "d_head": 16}, 128).d_head == 16


def test_round_trip_through_hugging_face() -> None:
    config = ModelConfig.from_section(SECTION | {"rope_theta": 5000.0, "tie_embeddings": False}, 128)
    assert ModelConfig.from_hf(config.to_hf()) == config


def test_old_and_foreign_hugging_face_configs() -> None:
    config = ModelConfig.from_section(SECTION | {"rope_theta": 5000.0}, 128)
    old = {key: value for key, value in config.to_hf().items() if key not in ("rope_parameters", "head_dim", "dtype")}
    assert ModelConfig.from_hf(old) == config
    with pytest.raises(InputError, match="model.rope_scaling.factor is missing; llama3 needs"):
        ModelConfig.from_hf(config.to_hf() | {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1.0}})
    with pytest.raises(InputError, match="model_type 'gemma'"):
        ModelConfig.from_hf({"model_type": "gemma"})
    with pytest.raises(InputError, match="lacks 'vocab_size'; it is not a complete config of Llama"):
        ModelConfig.from_hf({"model_type": "llama"})


def test_counts_of_llama_7b() -> None:
    """Llama 7B: 6,738,415,616 parameters (the sum over the published checkpoint's shapes)."""
    config = ModelConfig(32000, 4096, 32, 32, 32, 128, 11008, 2048, tie_embeddings=False)
    assert parameter_counts(config)["total"] == 6_738_415_616


def test_config_needs_no_torch() -> None:
    code = "import sys, llm.model.config; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_config_is_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig.from_section(SECTION, 128).d_model = 1
