"""An adapter names its base by a digest of the weights, and is refused for another model of the same shape."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm.align.identity import refuse_another_base, weights_digest
from llm.align.lora import add_lora, save_adapter
from llm.align.settings.adapter import LoraConfig
from llm.errors import InputError
from llm.package.hf_directory import write_directory
from llm.package.settings import PackageSettings
from scripts.package import merge
from tests.llm.align.toy import adapter_of

NAME = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def models(random_lm, tokenizer_files, tmp_path_factory) -> tuple[Path, Path]:
    """Two models of one shape."""
    found = []
    for seed in (0, 1):
        model = random_lm(seed)
        found.append(tmp_path_factory.mktemp("model"))
        write_directory(found[-1], model.config.to_hf(), model, tokenizer_files.values())
    return found[0], found[1]


def adapter_on(base: Path, directory: Path, random_lm) -> Path:
    model, config = random_lm(), LoraConfig(4, 8, ("q_proj",))
    add_lora(model, config, 0)
    directory.mkdir()
    save_adapter(adapter_of(model), config, directory, base="../../models/sft", revision=weights_digest(base))
    return directory


def test_a_digest_is_of_the_weights_alone(models, random_lm, tokenizer_files, tmp_path):
    """Neither shards nor what stands beside them change it; one number does."""
    (tmp_path / "shards").mkdir()
    model = random_lm(0)
    write_directory(
        tmp_path / "shards", model.config.to_hf(), model, tokenizer_files.values(), PackageSettings(shard_bytes=60_000)
    )
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    assert weights_digest(tmp_path / "shards") == weights_digest(models[0]) != weights_digest(models[1])
    tensors = load_file(models[0] / "model.safetensors")
    for changed in (tensors[NAME] + 1e-7, tensors[NAME].bfloat16(), tensors[NAME].T.contiguous()):
        save_file(tensors | {NAME: changed}, tmp_path / "model.safetensors")
        assert weights_digest(tmp_path) != weights_digest(models[0])


def test_another_base_of_the_same_shape_is_refused(models, random_lm, tmp_path):
    """Its matrices would fit: what was learned on one model would be added to the other."""
    right, wrong = models
    adapter = adapter_on(right, tmp_path / "adapter", random_lm)
    for name in ("merged", "refused"):
        (tmp_path / name).mkdir()
    merge.main(right, adapter, tmp_path / "merged", settings=PackageSettings())
    line = f"adapter_config.json: the adapter was made on a model of {weights_digest(right)[:19]}, {wrong} is "
    with pytest.raises(InputError, match=line) as refused:
        merge.main(wrong, adapter, tmp_path / "refused", settings=PackageSettings())
    assert "\n" not in str(refused.value)
    assert not any((tmp_path / "refused").iterdir())


@pytest.mark.parametrize("revision", [None, "main"])
def test_an_adapter_that_does_not_say_is_taken(models, random_lm, tmp_path, revision):
    """PEFT's `revision` is a branch of the hub elsewhere, or null."""
    adapter = adapter_on(models[0], tmp_path / "adapter", random_lm)
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"revision": revision}))
    refuse_another_base(adapter, models[1])


def test_peft_reads_past_it(models, random_lm, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = adapter_on(models[0], tmp_path / "adapter", random_lm)
    with torch.no_grad():
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(models[0]), adapter)(torch.tensor([[8, 9]]))
