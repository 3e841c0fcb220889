"""ModelConfig: what is refused, with which words, and the way to config.json and back."""

import dataclasses
import subprocess
import sys

import pytest

from llm.errors import InputError
from llm.model.config import ModelConfig, check_target_modules

SECTION = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 96, "context_length": 32}
YARN = {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 8}


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
        ({"position": "rotary"}, "model.position: 'rotary' is not one of rope, alibi, sinusoidal, learned"),
        ({"norm": ["rmsnorm"]}, "model.norm: ['rmsnorm'] is not one of"),
        ({"activation": "silu"}, "model.activation: 'silu' is not one of swiglu, gelu, gelu_tanh, relu"),
        ({"init": 0}, "model.init: 0 is not one of"),
        ({"bias": 1}, "model.bias: 1 is not true or false"),
        ({"z_loss": -1e-4}, "model.z_loss: -0.0001 is not a number"),
        ({"z_loss": True}, "model.z_loss: True"),
        ({"init_std": 0}, "model.init_std: 0.0 is not a positive number"),
        ({"norm_eps": float("nan")}, "model.norm_eps: nan"),
        ({"position": "alibi", "rope_theta": 10000}, "model.rope_theta: has no meaning with position: alibi"),
        ({"position": "learned", "rope_scaling": {"rope_type": "linear", "factor": 2}}, "model.rope_scaling: has no"),
        ({"position": "sinusoidal", "rope_theta": 1}, "model.rope_theta: has no meaning with position: sinusoidal"),
        ({"position": "sinusoidal", "d_model": 65, "d_head": 16}, "model.d_model: 65 is odd; sinusoidal"),
        ({"rope_scaling": 2}, "model.rope_scaling: 2 is no rope_type; choose one of linear, dynamic, yarn, llama3"),
        ({"rope_scaling": {"factor": 2}}, "model.rope_scaling: None is no rope_type"),
        ({"rope_scaling": {"rope_type": "linear"}}, "model.rope_scaling.factor is missing; linear needs factor"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0.5}}, "model.rope_scaling.factor: 0.5 would shorten"),
        ({"rope_scaling": {"rope_type": "linear", "factor": "2"}}, "model.rope_scaling.factor: '2'"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2, "base": 1}}, "model.rope_scaling.base: unknown key"),
        ({"rope_scaling": YARN | {"original_max_position_embeddings": 33}}, "33 exceeds model.context_length: 32"),
        ({"rope_scaling": YARN | {"original_max_position_embeddings": 8.5}}, "8.5 is not a positive whole number"),
        ({"rope_scaling": YARN | {"beta_slow": 40}}, "model.rope_scaling.beta_slow: 40.0 must be below beta_fast"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2}, "d_head": 2}, "model.d_head: 2 is too small"),
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
    nothing = {"n_kv_heads": None, "d_head": None, "d_ff": None, "rope_theta": None, "rope_scaling": None}
    assert ModelConfig.from_section(vars_of(config) | nothing, 64) == config
    assert ModelConfig.from_section(SECTION | {"activation": "gelu", "d_ff": None}, 128).d_ff == 4 * 64


def vars_of(config: ModelConfig) -> dict:
    """The `model:` block that states everything."""
    return {
        key: value for key, value in vars(config).items() if key not in ("vocab_size", "bos_id", "eos_id", "pad_id")
    }


def test_odd_heads_are_fine_where_nothing_rotates() -> None:
    for position in ("alibi", "learned", "sinusoidal"):
        assert ModelConfig.from_section(SECTION | {"d_model": 60, "position": position}, 128).d_head == 15


def test_adapters_of_layers_that_are_not_there_are_refused_early() -> None:
    check_target_modules(ModelConfig.from_section(SECTION, 128), ["q_proj", "gate_proj"])
    with pytest.raises(InputError, match="align.lora.target_modules: model.activation: relu has no gate_proj"):
        check_target_modules(ModelConfig.from_section(SECTION | {"activation": "relu"}, 128), ["q_proj", "gate_proj"])


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


def test_config_needs_no_torch() -> None:
    code = "import sys, llm.model.config; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_config_is_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig.from_section(SECTION, 128).d_model = 1
