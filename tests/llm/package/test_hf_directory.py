"""Hugging Face directories: what transformers and PEFT make of them, and the count of every matrix."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llm.align.lora import add_lora, load_adapter, lora_layers, save_adapter
from llm.align.settings.adapter import LoraConfig
from llm.deploy.quantize.model import load_any
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.inference.engine import generate
from llm.model.config import ModelConfig
from llm.model.counts import parameter_counts
from llm.model.directory import load_model
from llm.model.transformer import CausalLM
from llm.package.hf_directory import formulas, inventory
from llm.package.settings import PackageSettings
from llm.tokenize.chat import encode_chat
from llm.tokenize.load import Tokenizer
from scripts.package import merge, package
from tests.llm.align.toy import adapter_of
from tests.llm.weights import save_weights

GPT2 = {"n_kv_heads": 6, "position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True}
BLOOM = GPT2 | {"position": "alibi", "embedding_norm": True, "d_ff": 192}
MPT = BLOOM | {"embedding_norm": False, "bias": False, "activation": "gelu"}
VARIANTS = [{}, {"tie_embeddings": False}, {"n_kv_heads": 6, "rope_theta": 5e5}, {"n_kv_heads": 1}]
VARIANTS += [{"qk_norm": True}, GPT2, BLOOM, MPT]
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Est latin? 12 [EOS] <|assistant|>"},
    {"role": "assistant", "content": "Tota est.\n"},
    {"role": "user", "content": " more …"},
]

CORPUS = {"tale": {"domain": "books", "license": "MIT"}}


def packaged(
    model: CausalLM, tokenizer_files: dict[str, Path], tmp_path: Path, shard_bytes: int = 10**9
) -> tuple[Path, dict]:
    """The directory and the metrics of scripts/package/package.py."""
    settings = PackageSettings(shard_bytes=shard_bytes)
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "config.json").write_text(json.dumps(model.config.to_hf() | {"x_note": "kept"}))
    for name in ("checkpoint", "hf"):
        (tmp_path / name).mkdir()
    save_weights(model, tmp_path / "checkpoint" / "model.safetensors")
    (tmp_path / "checkpoint" / "state.json").write_text(json.dumps({"step": 2, "tokens_seen": 64}))
    metrics = package.main(
        tmp_path / "config.json",
        tmp_path / "checkpoint",
        hf=tmp_path / "hf",
        **tokenizer_files,
        corpus=CORPUS,
        settings=settings,
    )
    return tmp_path / "hf", metrics


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_transformers_gives_the_same_logits_and_the_same_greedy_text(changes, random_lm, tokenizer_files, tmp_path):
    model = random_lm(**changes)
    directory, metrics = packaged(model, tokenizer_files, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(directory).eval()
    assert theirs.dtype == torch.float32
    tokens_BT = torch.randint(8, 400, (3, 30), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(tokens_BT).logits
        assert torch.allclose(model(tokens_BT), expected, atol=1e-5 * expected.abs().max().item())
        assert torch.equal(load_model(directory)(tokens_BT), model(tokens_BT))
        continued = theirs.generate(tokens_BT, max_new_tokens=12)[:, 30:].tolist()
    ours = generate(model, tokens_BT.tolist(), max_new_tokens=12, stop_ids=[2])
    assert [row[: len(mine)] for row, mine in zip(continued, ours, strict=True)] == ours
    with torch.no_grad():
        penalised = theirs.generate(tokens_BT, max_new_tokens=30, repetition_penalty=1.3)[:, 30:].tolist()
    ours = generate(model, tokens_BT.tolist(), max_new_tokens=30, repetition_penalty=1.3, stop_ids=[2])
    assert [row[: len(mine)] for row, mine in zip(penalised, ours, strict=True)] == ours
    assert penalised != theirs.generate(tokens_BT, max_new_tokens=30)[:, 30:].tolist()
    assert metrics["weight_bytes"] >= 4 * metrics["parameters"]
    assert json.loads((directory / "config.json").read_text())["x_note"] == "kept"


def test_tokenizer_and_chat_template_give_our_ids(random_lm, tokenizer_files, tmp_path):
    directory, _ = packaged(random_lm(), tokenizer_files, tmp_path)
    theirs, ours = AutoTokenizer.from_pretrained(directory), Tokenizer(directory / "tokenizer.model")
    for text in ("Tota 1234 est", "  two\n\nlines\t", "naïve ☃ 漢字"):
        assert theirs(text, add_special_tokens=False)["input_ids"] == ours.encode(text)
    plain = [message for message in CONVERSATION if "[EOS]" not in message["content"]]
    for prompt in (False, True):
        ids = theirs.apply_chat_template(plain, add_generation_prompt=prompt, return_dict=False)
        assert ids == encode_chat(ours, plain, add_generation_prompt=prompt)[0]
    # Control tokens spelled in a content: the template keeps them text, though not with the very same ids.
    ids = theirs.apply_chat_template(CONVERSATION, return_dict=False)
    mine = encode_chat(ours, CONVERSATION)[0]
    assert [i for i in ids if i < 8] == [i for i in mine if i < 8]
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (ours.bos, ours.eos, ours.pad)
    context_length = load_model(directory).config.context_length
    assert theirs.model_max_length == context_length
    assert len(theirs("Tota " * 999, truncation=True)["input_ids"]) == context_length


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_matrix_is_counted_as_the_formulas_say(changes, random_lm):
    model = random_lm(**changes)
    blocks = inventory(model.config, model.state_dict())
    assert all(block["parameters"] == block["expected"] for block in blocks.values())
    assert all(block["bytes"] == 4 * block["parameters"] for block in blocks.values())
    counts = parameter_counts(model.config)
    assert sum(block["parameters"] for block in blocks.values()) == counts["total"]
    assert sum(block["matrices"] for block in blocks.values()) == sum(
        name.endswith("weight") for name in model.state_dict()
    )


def test_seed_figures_for_llama_7b():
    """32000 x 4096 = 131M embedding; L x 4 x d^2 attention; 65 norms of 4096 (RMSNorm: gamma alone)."""
    config = ModelConfig(32000, 4096, 32, 32, 32, 128, 11008, 4096, tie_embeddings=False)
    with torch.device("meta"):
        blocks = inventory(config, CausalLM(config).state_dict())
    assert blocks["embedding"]["parameters"] == blocks["lm_head"]["parameters"] == 131_072_000
    assert sum(blocks[name]["parameters"] for name in ("query", "key", "value", "output")) == 32 * 4 * 4096**2
    assert (blocks["norms"]["matrices"], blocks["norms"]["parameters"]) == (65, 65 * 4096)
    assert sum(block["parameters"] for block in blocks.values()) == 6_738_415_616  # Llama 7B, Touvron et al. 2023


def test_packaging_twice_gives_the_same_bytes(random_lm, tokenizer_files, tmp_path):
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        packaged(random_lm(), tokenizer_files, tmp_path / run)
    files = sorted(path.name for path in (tmp_path / "one" / "hf").iterdir())
    assert len(files) == 9
    assert all((tmp_path / "one" / "hf" / f).read_bytes() == (tmp_path / "two" / "hf" / f).read_bytes() for f in files)


def test_another_tokenizer_and_another_checkpoint_are_refused(random_lm, tokenizer_files, tmp_path):
    with pytest.raises(InputError, match="has 400 tokens, config.json says 401"):
        packaged(random_lm(vocab_size=401), tokenizer_files, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.replace(random_lm().config, d_ff=64).to_hf()))
    save_weights(random_lm(), tmp_path / "checkpoint" / "model.safetensors")
    with pytest.raises(InputError, match="has shape"):
        package.main(
            tmp_path / "config.json",
            tmp_path / "checkpoint",
            hf=tmp_path / "hf",
            **tokenizer_files,
            corpus=CORPUS,
            settings=PackageSettings(),
        )


def test_tensor_of_no_block_is_refused(random_lm):
    model = random_lm(activation="relu")
    for stray in ("model.layers.0.self_attn.rotary_emb.inv_freq", "model.layers.0.mlp.gate_proj.weight"):
        with pytest.raises(InputError, match="belongs to no block"):
            inventory(model.config, model.state_dict() | {stray: torch.ones(8)})


def test_formulas_of_other_families(random_lm):
    """As the seed has them: two matrices without a gate, LayerNorm's gamma and beta."""
    texts = formulas(random_lm(**BLOOM).config)
    assert texts["norms"] == "(2 L + 2) 2 d"
    assert texts["query"] == texts["key"].replace("K", "H") == "L (d + 1) H h"
    assert (texts["output"], texts["ffn_up"], texts["ffn_down"]) == ("L (H h + 1) d", "L (d + 1) f", "L (f + 1) d")
    assert "ffn_gate" not in texts
    texts = formulas(random_lm(norm_order="post").config)
    assert (texts["norms"], texts["ffn_gate"], texts["lm_head"]) == ("2 L d", "L d f", "0, tied")


def test_what_no_family_computes_is_packaged_for_us_alone(random_lm, tokenizer_files, tmp_path):
    model = random_lm(position="alibi")
    directory, metrics = packaged(model, tokenizer_files, tmp_path)
    assert (
        metrics["hugging_face"]
        == "none; the nearest is llama, but for position: alibi: transformers cannot load this model"
    )
    with pytest.raises(ValueError, match="stemma"):
        AutoModelForCausalLM.from_pretrained(directory)
    tokens_BT = torch.randint(8, 400, (1, 9))
    assert torch.equal(load_model(directory)(tokens_BT), model(tokens_BT))


@pytest.mark.parametrize("changes", [{"tie_embeddings": False}, GPT2, BLOOM], ids=str)
def test_large_models_are_packaged_merged_and_quantized_in_shards(changes, random_lm, tokenizer_files, tmp_path):
    base, metrics = packaged(random_lm(**changes), tokenizer_files, tmp_path, shard_bytes=60_000)
    whole, _ = packaged(random_lm(**changes), tokenizer_files, tmp_path / "whole")
    adapter = trained_adapter(base, tmp_path / "adapter")
    for name in ("merged", "quantized"):
        (tmp_path / name).mkdir()
    merge.main(base, adapter, tmp_path / "merged", settings=PackageSettings(shard_bytes=60_000))
    small = PackageSettings(shard_bytes=20_000)
    write_quantized(base, tmp_path / "quantized", Method(bits=8), None, tmp_path / "scratch", small)
    for place in (base, tmp_path / "merged", tmp_path / "quantized"):
        shards = sorted(place.glob("model-*.safetensors"))
        assert len(shards) > 2
        assert not (place / "model.safetensors").exists()
        assert json.loads((place / "model.safetensors.index.json").read_text())["metadata"]["total_size"] > 100_000
    assert metrics["weight_bytes"] == sum(file.stat().st_size for file in base.glob("*.safetensors"))
    tokens_BT = torch.randint(8, 400, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        one = load_model(whole)(tokens_BT)
        assert torch.equal(load_model(base)(tokens_BT), one)
        theirs = AutoModelForCausalLM.from_pretrained(base)(tokens_BT).logits
        assert (theirs - one).abs().max() < 1e-5 * one.abs().max()
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(tokens_BT).logits
        assert (merged - load_model(tmp_path / "merged")(tokens_BT)).abs().max() < 1e-5 * merged.abs().max()
        assert 0 < (load_any(tmp_path / "quantized")(tokens_BT) - one).norm() < 0.1 * one.norm()


def test_an_adapter_is_merged_into_a_model_of_another_family(hf_directory, tmp_path):
    base = hf_directory("base", **GPT2)
    adapter = trained_adapter(base, tmp_path / "adapter")
    (tmp_path / "merged").mkdir()
    merge.main(base, adapter, tmp_path / "merged", settings=PackageSettings())
    adapted = load_model(base)
    load_adapter(adapted, adapter)
    tokens_BT = torch.randint(8, 400, (1, 9))
    with torch.no_grad():
        expected = adapted(tokens_BT)
        assert not torch.allclose(load_model(base)(tokens_BT), expected, atol=1e-2)
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
        assert torch.allclose(merged(tokens_BT).logits, expected, atol=1e-5 * expected.abs().max().item())


def trained_adapter(base: Path, directory: Path) -> Path:
    """An adapter on `base` whose A and B are random."""
    config = LoraConfig(4, 8.0, ("q_proj", "v_proj", "down_proj"))
    model = load_model(base)
    add_lora(model, config, seed=0)
    generator = torch.Generator().manual_seed(3)
    for layer in lora_layers(model).values():
        layer.lora_B.data.normal_(0.0, 0.1, generator=generator)
    directory.mkdir()
    save_adapter(adapter_of(model), config, directory, base="../base")
    return directory


def test_merged_directory_equals_peft_merge_and_unload(hf_directory, tmp_path):
    from peft import PeftModel

    base = hf_directory("base", tie_embeddings=True)
    adapter = trained_adapter(base, tmp_path / "adapter")
    (tmp_path / "merged").mkdir()
    metrics = merge.main(base, adapter, tmp_path / "merged", settings=PackageSettings())
    expected = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).merge_and_unload()
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    for (name, ours), theirs in zip(merged.named_parameters(), expected.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6), name
    assert metrics["merged_matrices"] == 6
    assert set(metrics["largest_relative_change"]) == {"q_proj", "v_proj", "down_proj"}
    assert min(metrics["largest_relative_change"].values()) > 0.01
    same = sorted(path.name for path in base.iterdir() if path.name != "model.safetensors")
    assert all((base / name).read_bytes() == (tmp_path / "merged" / name).read_bytes() for name in same)


def test_merge_without_tokenizer_is_refused(hf_directory, tmp_path):
    base = hf_directory("base")
    adapter = trained_adapter(base, tmp_path / "adapter")
    shutil.copytree(base, tmp_path / "bare")
    (tmp_path / "bare" / "merges.txt").unlink()
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match="merges.txt is missing"):
        merge.main(tmp_path / "bare", adapter, tmp_path / "merged", settings=PackageSettings())
