import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm.align.lora import adapter_off, add_lora, load_adapter, lora_layers, merge_lora, save_adapter
from llm.align.settings.adapter import LoraConfig
from llm.errors import InputError
from tests.llm.align.toy import adapter_of

LORA = LoraConfig(r=4, alpha=8, target_modules=("q_proj", "down_proj", "up_proj"))


def perturbed(model, config=LORA):
    """`model` with an adapter whose B is no longer zero."""
    add_lora(model, config, seed=0)
    generator = torch.Generator().manual_seed(2)
    for layer in lora_layers(model).values():
        layer.lora_B.data.normal_(0, 0.1, generator=generator)
    return model


def test_a_fresh_adapter_changes_nothing_and_only_it_is_trainable(model, tokens_BT):
    before = model(tokens_BT)
    add_lora(model, LORA, seed=0)
    assert torch.equal(model(tokens_BT), before)
    assert all(".lora_" in name for name in adapter_of(model))
    assert len(adapter_of(model)) == 2 * 2 * 3


def test_switched_off_it_is_the_base_and_merged_it_is_the_adapter(model, tokens_BT):
    before = model(tokens_BT)
    names = set(model.state_dict())
    perturbed(model)
    with_adapter = model(tokens_BT)
    assert not torch.allclose(with_adapter, before, atol=1e-2)
    with adapter_off(model):
        assert torch.equal(model(tokens_BT), before)
    assert torch.equal(model(tokens_BT), with_adapter)
    merge_lora(model)
    assert set(model.state_dict()) == names
    torch.testing.assert_close(model(tokens_BT), with_adapter, atol=1e-5, rtol=1e-5)


def test_peft_loads_what_we_save(model, new_model, in_transformers, tokens_BT, tmp_path):
    from peft import PeftModel

    save_adapter(adapter_of(perturbed(model)), LORA, tmp_path, base="../../models/base")
    peer = PeftModel.from_pretrained(in_transformers(new_model()), tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(peer(tokens_BT).logits, model(tokens_BT), atol=1e-5, rtol=1e-5)
        merge_lora(model)
        merged = peer.merge_and_unload()(tokens_BT).logits
        torch.testing.assert_close(merged, model(tokens_BT), atol=1e-5, rtol=1e-5)


def test_rank_stabilised_adapters_are_peft_s(model, new_model, in_transformers, tokens_BT, tmp_path):
    from peft import PeftModel

    config = LoraConfig(r=4, alpha=8, target_modules=("q_proj", "down_proj"), rslora=True)
    save_adapter(adapter_of(perturbed(model, config)), config, tmp_path, base="../../models/base")
    assert lora_layers(model)["model.layers.0.self_attn.q_proj"].scale == 4
    peer = PeftModel.from_pretrained(in_transformers(new_model()), tmp_path).eval()
    again = new_model()
    load_adapter(again, tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(peer(tokens_BT).logits, model(tokens_BT), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(again(tokens_BT), model(tokens_BT), atol=0, rtol=0)


def test_we_load_what_peft_saves(new_model, in_transformers, tokens_BT, tmp_path):
    import peft

    peer = peft.get_peft_model(
        in_transformers(new_model()),
        peft.LoraConfig(
            r=4, lora_alpha=8, target_modules=["q_proj", "o_proj"], task_type="CAUSAL_LM", init_lora_weights=False
        ),
    ).eval()
    peer.save_pretrained(tmp_path)
    model = new_model()
    assert load_adapter(model, tmp_path) == {}
    with torch.no_grad():
        torch.testing.assert_close(model(tokens_BT), peer(tokens_BT).logits, atol=1e-5, rtol=1e-5)


def test_saving_twice_gives_the_same_bytes_and_loading_gives_the_same_model(model, new_model, tokens_BT, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    perturbed(model)
    save_adapter(adapter_of(model), LORA, one, base="../../models/base")
    again = new_model()
    load_adapter(again, one)
    save_adapter(adapter_of(again), LORA, two, base="../../models/base")
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (one / file).read_bytes() == (two / file).read_bytes()
    assert torch.equal(again(tokens_BT), model(tokens_BT))


def test_the_seed_decides_the_start(new_model):
    first, second, third = new_model(), new_model(), new_model()
    for model, seed in ((first, 0), (second, 0), (third, 1)):
        add_lora(model, LORA, seed)
    name = "model.layers.1.mlp.up_proj"
    a, b, c = (lora_layers(model)[name].lora_A for model in (first, second, third))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert a.abs().max() <= 32**-0.5 and a.std() > 0.4 * 32**-0.5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LoraConfig(4, 8, ("q_project",)), "q_project"),
        (LoraConfig(4, 8, ()), "empty"),
        (LoraConfig(0, 8, ("q_proj",)), "r=0"),
    ],
)
def test_bad_configs_are_named(model, config, message):
    with pytest.raises(InputError, match=message):
        add_lora(model, config, seed=0)


def test_bad_adapters_are_named(model, new_model, tmp_path):
    with pytest.raises(InputError, match="adapter_config.json is missing"):
        load_adapter(new_model(), tmp_path)
    save_adapter(adapter_of(perturbed(model)), LORA, tmp_path, base="../../models/base")
    path = tmp_path / "adapter_config.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps(written | {"use_dora": True}))
    with pytest.raises(InputError, match="use_dora"):
        load_adapter(new_model(), tmp_path)
    for change in ({"r": None}, {"r": "4"}, {"lora_alpha": None}, {"target_modules": [1]}):
        path.write_text(json.dumps(written | change))
        with pytest.raises(InputError, match="are no LoRA's; copy it again"):
            load_adapter(new_model(), tmp_path)
    path.write_text(json.dumps(written))
    weights = tmp_path / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="adapter_model.safetensors cannot be read as safetensors"):
        load_adapter(new_model(), tmp_path)
    weights.write_bytes(whole)
    for text in ("[]", "{", ""):
        path.write_text(text)
        with pytest.raises(InputError, match="adapter_config.json"):
            load_adapter(new_model(), tmp_path)
    path.write_text(json.dumps(written | {"r": 5}))
    with pytest.raises(InputError, match=r"rank 4, but r=5 in adapter_config\.json"):
        load_adapter(new_model(), tmp_path)
    path.write_text(json.dumps(written | {"target_modules": ["q_proj"]}))
    with pytest.raises(InputError, match="has no layer"):
        load_adapter(new_model(), tmp_path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda tensor: tensor * float("nan"), "lora_A.weight is torch.float32, or holds what is no finite number"),
        (lambda tensor: tensor.to(torch.int8), "lora_A.weight is torch.int8, or holds what is no finite number"),
        (lambda tensor: torch.zeros(6, tensor.shape[1]), "rank 6, but r=4 in adapter_config.json; copy both"),
        (lambda tensor: torch.cat([tensor, tensor[:, :1]], 1), "was the adapter made on another model?"),
    ],
)
def test_an_adapter_of_no_finite_numbers_is_refused(model, new_model, tmp_path, change, line):
    save_adapter(adapter_of(perturbed(model)), LORA, tmp_path, base="base")
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    save_file({name: change(tensor) for name, tensor in tensors.items()}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(InputError) as error:
        load_adapter(new_model(), tmp_path)
    assert line in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [{"r": True}, {"r": 10**9}, {"lora_alpha": float("nan")}, {"lora_alpha": True}, {"bias": "all"}, {"use_qalora": 1}],
    ids=str,
)
def test_a_configuration_of_another_kind_is_refused(model, new_model, tmp_path, changes):
    save_adapter(adapter_of(perturbed(model)), LORA, tmp_path, base="base")
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(InputError, match=r"adapter_config\.json: (only plain LoRA|r )"):
        load_adapter(new_model(), tmp_path)
