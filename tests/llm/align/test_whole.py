"""All weights trained: the plain model's gradient, an artifact that merges into a model, and methods that refuse it."""

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from llm.align.batches import ItemStream
from llm.align.train_adapter import adapted
from llm.align.whole import is_whole, save_whole, take_trained
from llm.errors import InputError
from llm.model.directory import load_model
from llm.package.hf_directory import write_directory
from llm.package.settings import PackageSettings
from llm.training.engines.layout import Replicas
from scripts.package import merge
from tests.llm.align.toy import CONFIG, METHODS, adapter_settings, items_of, random_model


def gradients(**changes: object) -> dict[str, torch.Tensor]:
    engine = adapted(METHODS["sft"], random_model(), adapter_settings("sft", full=True, **changes))
    stream = ItemStream(items_of("sft", 40), 6, 3, CONFIG.pad_id, bool(changes.get("packing")))
    engine.gradients(partial(stream.rows, 0), 6)
    return {held.name: held.tensor.grad.clone() for held in engine.held}


def relative(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    assert found.keys() == wanted.keys()
    one, two = (torch.cat([some[name].flatten().double() for name in sorted(wanted)]) for some in (found, wanted))
    return ((one - two).norm() / two.norm()).item()


def test_every_weight_has_the_gradient_of_the_plain_loss():
    model = random_model()
    examples = ItemStream(items_of("sft", 40), 6, 3, CONFIG.pad_id).batch(0)
    tokens = sum(int(each.mask[1:].sum()) for each in examples)
    total = torch.zeros(())
    for each in examples:
        ids = torch.from_numpy(each.ids)
        losses = F.cross_entropy(model(ids[None])[0, :-1], ids[1:], reduction="none")
        total = total + losses[torch.from_numpy(each.mask[1:])].sum() / tokens
    total.backward()
    wanted = {name: weight.grad for name, weight in model.named_parameters()}
    for changes in ({}, {"packing": True}, {"parallel": Replicas(micro_batch=2)}):
        assert relative(gradients(**changes), wanted) < 1e-6


@pytest.mark.parametrize("method", [name for name in METHODS if name != "sft"])
def test_methods_with_a_reference_or_a_head_refuse(method):
    with pytest.raises(InputError, match=rf"align\.{method}\.full: this method needs an adapter"):
        adapted(METHODS[method], random_model(), adapter_settings(method, full=True))


def test_whole_weights_become_a_model(tmp_path: Path, random_lm, tokenizer_files):
    """What merge makes of them is what was trained, in transformers too; an adapter's directory is none."""
    base, trained = random_lm(0), random_lm(1)
    for name in ("base", "sft", "hf"):
        (tmp_path / name).mkdir()
    write_directory(tmp_path / "base", base.config.to_hf(), base, tokenizer_files.values())
    save_whole(dict(trained.state_dict()), tmp_path / "sft")
    assert is_whole(tmp_path / "sft") and not is_whole(tmp_path / "hf")
    metrics = merge.main(tmp_path / "base", tmp_path / "sft", tmp_path / "hf", settings=PackageSettings())
    assert metrics["merged_matrices"] == 14 and min(metrics["largest_relative_change"].values()) > 0.5
    tokens = torch.arange(20)[None] + 8
    with torch.inference_mode():
        wanted = trained(tokens)
        assert torch.equal(load_model(tmp_path / "hf")(tokens), wanted)
        peer = AutoModelForCausalLM.from_pretrained(tmp_path / "hf")(tokens).logits
    torch.testing.assert_close(peer, wanted, atol=1e-4, rtol=1e-4)
    assert load_file(tmp_path / "hf/model.safetensors").keys() == load_file(tmp_path / "base/model.safetensors").keys()


def test_weights_of_another_model_are_refused(tmp_path: Path, random_lm):
    save_whole({"model.norm.weight": torch.ones(4)}, tmp_path)
    with pytest.raises(InputError, match="does not belong to this config"):
        take_trained(random_lm(0), tmp_path)
