"""The architectures in presets/: through the real check of a configuration, against published sizes and models."""

from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM

from llm.config.blocks import schema
from llm.model.config import ModelConfig, check_target_modules, config_json
from llm.model.counts import parameter_counts
from llm.model.transformer import CausalLM
from stemma.workflow.config import check

ROOT = Path(__file__).resolve().parents[3]
# Published: GPT-2's, LLaMA's and Llama 3's checkpoints summed over their shapes. 1b, 7b: the seed's sizes with SwiGLU.
TOTALS = {
    "nano": 1_836_160,
    "smollm2": 134_515_008,
    "gpt2-124m": 124_439_808,
    "1b": 1_279_887_360,
    "7b": 6_713_249_792,
    "70b": 68_976_648_192,
    "gpt3-175b": 174_604_259_328,
    "llama-7b": 6_738_415_616,
    "llama3-8b": 8_030_261_248,
    "llama3-405b": 405_853_388_800,
}
SEED = {"1b": (2048, 24, 16), "7b": (4096, 32, 32), "70b": (8192, 80, 64), "gpt3-175b": (12288, 96, 96)}


def merged(base: dict, over: dict) -> dict:
    """As Snakemake lays one config file over another."""
    for key, value in over.items():
        base[key] = merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return base


def architecture(preset: str) -> ModelConfig:
    config = merged(
        yaml.safe_load((ROOT / "config.yaml").read_text()),
        yaml.safe_load((ROOT / f"presets/{preset}.yaml").read_text()),
    )
    check(config, schema())
    result = ModelConfig.from_section(config["model"], config["tokenizer"]["vocab_size"])
    check_target_modules(result, config["align"]["lora"]["target_modules"])
    return result


@pytest.mark.parametrize("preset", TOTALS)
def test_parameters_are_those_published_and_those_of_both_models(preset: str, tmp_path: Path) -> None:
    config = architecture(preset)
    assert parameter_counts(config)["total"] == TOTALS[preset]
    (tmp_path / "config.json").write_text(config_json(config))
    with torch.device("meta"):
        ours, theirs = CausalLM(config), AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    assert sum(weight.numel() for weight in ours.parameters()) == TOTALS[preset]
    assert sum(weight.numel() for weight in theirs.parameters()) == TOTALS[preset]


@pytest.mark.parametrize("preset", SEED)
def test_sizes_are_those_of_the_seed(preset: str) -> None:
    config = architecture(preset)
    assert (config.d_model, config.n_layers, config.n_heads) == SEED[preset]


def test_figures_of_the_seed() -> None:
    """What it states of GPT-3 and LLaMA; docs/pretrain.md says where its own figure is off."""
    gpt3 = architecture("gpt3-175b")
    counts = parameter_counts(gpt3)
    assert (gpt3.d_head, gpt3.d_ff, gpt3.context_length) == (128, 49152, 2048)
    assert counts["embedding"] == 50257 * 12288  # 617M
    biases = 96 * 12288 * 4
    attention = sum(counts[block] for block in ("query", "key", "value", "output"))
    assert attention - biases == 96 * 4 * 12288**2 == 57_982_058_496  # the seed: 58.7B
    assert counts["ffn_up"] + counts["ffn_down"] - 96 * (12288 + 49152) == 96 * 2 * 12288 * 49152 == 115_964_116_992
    assert counts["total"] == pytest.approx(175e9, rel=0.005)
    assert (
        parameter_counts(architecture("llama-7b"))["norms"] == 65 * 4096
    )  # RMSNorm: no beta; the seed counts it twice


def test_nano_is_the_default_run() -> None:
    default, nano = (yaml.safe_load((ROOT / name).read_text()) for name in ("config.yaml", "presets/nano.yaml"))
    assert nano["model"] == default["model"]
    assert nano["tokenizer"]["vocab_size"] == default["tokenizer"]["vocab_size"]


def test_every_choice_of_the_schema_can_be_built() -> None:
    rules = schema()["properties"]["model"]["properties"]
    d_model = {"d_model": 64, "n_layers": 2, "n_heads": 4, "context_length": 32}
    choices = {key: rule["enum"] for key, rule in rules.items() if "enum" in rule}
    assert choices.keys() == {"position", "norm", "norm_order", "activation", "init"}
    for key, values in choices.items():
        for value in values:
            assert getattr(ModelConfig.from_section(d_model | {key: value}, 128), key) == value
