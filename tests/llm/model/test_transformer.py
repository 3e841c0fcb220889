"""The transformer against transformers' five families and torch's own layer; generation with a cache against none."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from torch import nn
from transformers import AutoModelForCausalLM

from llm.errors import InputError
from llm.model.config import ModelConfig, config_json
from llm.model.counts import parameter_counts
from llm.model.directory import load_model, read_tensors
from llm.model.transformer import CausalLM, initialise
from llm.package.hf_directory import inventory
from tests.llm.model.architectures import (
    ALL,
    BLOOM,
    GPT2,
    IN_A_FAMILY,
    LLAMA,
    MPT,
    ORIGINAL,
    QWEN3,
    VOCAB,
    configs,
    random_model,
    random_tokens,
)
from tests.llm.weights import save_weights


def write_directory(model: CausalLM, directory: Path) -> Path:
    directory.mkdir()
    (directory / "config.json").write_text(config_json(model.config))
    save_weights(model, directory / "model.safetensors", model.config.family)
    return directory


@pytest.mark.parametrize("name", IN_A_FAMILY)
def test_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    """Its files are read by transformers, and those that transformers writes are read back."""
    model = random_model(IN_A_FAMILY[name])
    directory = write_directory(model, tmp_path / "hf")
    theirs = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    tokens_BT = random_tokens(3, 40)
    with torch.no_grad():
        ours, expected = model(tokens_BT), theirs(tokens_BT).logits
        assert (ours - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)
        assert torch.equal(load_model(directory)(tokens_BT), ours)
        theirs.save_pretrained(tmp_path / "theirs")
        again = load_model(tmp_path / "theirs")
        assert torch.equal(again(tokens_BT), ours)
    assert again.config == model.config
    assert sum(weight.numel() for weight in theirs.parameters()) == parameter_counts(model.config)["total"]


@pytest.mark.parametrize("config", [LLAMA, QWEN3, GPT2, BLOOM, MPT], ids=lambda config: config.family)
def test_gradients_equal_transformers(config: ModelConfig, tmp_path: Path) -> None:
    model = random_model(config)
    theirs = AutoModelForCausalLM.from_pretrained(write_directory(model, tmp_path / "hf"), dtype=torch.float32)
    tokens_BT = random_tokens(2, 33)
    model(tokens_BT).logsumexp(-1).sum().backward()
    theirs(tokens_BT).logits.logsumexp(-1).sum().backward()
    with torch.no_grad():  # gradients stand in for weights, so that the names' translation applies to them too
        for each in (model, theirs):
            for weight in each.parameters():
                weight.copy_(weight.grad)
    theirs.save_pretrained(tmp_path / "gradients")
    expected = load_model(tmp_path / "gradients").state_dict()
    for name, weight in model.state_dict().items():
        assert torch.allclose(weight, expected[name], rtol=1e-4, atol=1e-3), name


def test_logits_equal_the_original_transformer() -> None:
    """torch.nn.TransformerEncoderLayer, norm_first=False, under a causal mask; sinusoids by a plain loop."""
    config, model = ORIGINAL, random_model(ORIGINAL)
    tokens_BT, d = random_tokens(3, 30), config.d_model
    weights = model.state_dict()
    table_TD = torch.tensor(
        [[(math.cos if i % 2 else math.sin)(t / 10000 ** ((i - i % 2) / d)) for i in range(d)] for t in range(30)]
    )
    x_BTD = weights["model.embed_tokens.weight"][tokens_BT] * math.sqrt(d) + table_TD
    for index in range(config.n_layers):
        layer = nn.TransformerEncoderLayer(d, config.n_heads, config.d_ff, 0.0, "relu", config.norm_eps, True)
        ours = {name.split(f"layers.{index}.")[1]: w for name, w in weights.items() if f"layers.{index}." in name}
        qkv = {kind: [ours[f"self_attn.{part}_proj.{kind}"] for part in "qkv"] for kind in ("weight", "bias")}
        theirs = {f"self_attn.in_proj_{kind}": torch.cat(parts) for kind, parts in qkv.items()}
        for a, b in (
            ("self_attn.out_proj", "self_attn.o_proj"),
            ("linear1", "mlp.up_proj"),
            ("linear2", "mlp.down_proj"),
            ("norm1", "input_layernorm"),
            ("norm2", "post_attention_layernorm"),
        ):
            theirs |= {f"{a}.{kind}": ours[f"{b}.{kind}"] for kind in ("weight", "bias")}
        layer.load_state_dict(theirs)
        with torch.no_grad():
            x_BTD = layer.train()(x_BTD, nn.Transformer.generate_square_subsequent_mask(30), is_causal=True)
    expected = x_BTD @ weights["model.embed_tokens.weight"].T
    with torch.no_grad():
        assert (model(tokens_BT) - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)


@settings(max_examples=40, deadline=None)
@given(config=configs())
def test_any_architecture_holds_together(config: ModelConfig) -> None:
    """Every parameter is counted, in its block; the future is not seen."""
    model = random_model(config)
    blocks = inventory(config, model.state_dict())
    assert all(block["parameters"] == block["expected"] for block in blocks.values())
    counts = parameter_counts(config)
    assert counts["total"] == sum(weight.numel() for weight in model.parameters())
    assert {block for block, count in counts.items() if count} - {"total"} <= blocks.keys()
    tokens_BT = random_tokens(2, 12) % config.vocab_size
    with torch.no_grad():
        expected = model(tokens_BT)
        scale = expected.abs().max().clamp(min=1).item()
        assert torch.allclose(model(tokens_BT[:, :7]), expected[:, :7], atol=2e-5 * scale)


@pytest.mark.parametrize("config", [LLAMA, QWEN3, GPT2, BLOOM, ORIGINAL], ids=lambda config: config.position)
def test_long_sequences_take_another_way_to_the_same_attention(config: ModelConfig, monkeypatch) -> None:
    model = random_model(config)
    with torch.no_grad():
        expected = model(random_tokens(2, 40))
        monkeypatch.setattr("llm.model.transformer.PLAIN_ATTENTION_TOKENS", 16)
        assert torch.allclose(model(random_tokens(2, 40)), expected, atol=2e-5 * expected.abs().max().item())


@pytest.mark.parametrize("name", ALL)
def test_bf16_products_stay_near(name: str) -> None:
    """Autocast keeps attention in bf16 for every variant, and gives a gradient to every weight."""
    model = random_model(ALL[name])
    tokens_BT = random_tokens(2, 20)
    seen = set()
    hooks = [
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _, x: seen.add(x[0].dtype))
        for layer in model.model.layers
    ]
    with torch.autocast("cpu", torch.bfloat16):
        logits_BTV = model(tokens_BT)
    for hook in hooks:
        hook.remove()
    assert seen == {torch.bfloat16}
    with torch.no_grad():
        expected = model(tokens_BT)
    error = (logits_BTV.float() - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert error < 0.05
    logits_BTV.float().logsumexp(-1).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("name", ALL)
def test_every_variant_learns_a_batch(name: str) -> None:
    """From its own initial weights: gradients reach what they must, whatever starts at zero."""
    model = initialise(CausalLM(dataclasses.replace(ALL[name], context_length=64)), seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    tokens_BT = random_tokens(4, 17) % 20
    losses = []
    for _ in range(20):
        logits_BTV = model(tokens_BT[:, :-1])
        loss = nn.functional.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(VOCAB), abs=0.2)
    assert losses[-1] < losses[0] - 1.5


def test_too_long_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="64 learned positions .* 65 are needed"):
        random_model(GPT2)(torch.zeros(1, 65, dtype=torch.int64))


@pytest.mark.parametrize("config", [GPT2, BLOOM, MPT], ids=lambda config: config.family)
def test_files_of_the_first_publications_are_read(config: ModelConfig, tmp_path: Path) -> None:
    """Without the prefix, with GPT-2's causal mask among the tensors, with the tied matrix stored twice."""
    from safetensors.torch import save_file

    model = random_model(config)
    directory = write_directory(model, tmp_path / "hf")
    tensors = read_tensors(directory / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    old["lm_head.weight"] = model.output_weight.detach().clone()
    if config.family == "gpt2":
        old["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(old, directory / "model.safetensors")
    with torch.no_grad():
        assert torch.equal(load_model(directory)(random_tokens(1, 9)), model(random_tokens(1, 9)))


def test_damaged_directory_is_refused_by_name(tmp_path: Path) -> None:
    directory = write_directory(random_model(LLAMA), tmp_path / "hf")
    weights = directory / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="model.safetensors cannot be read"):
        load_model(directory)
    weights.write_bytes(content)
    config = json.loads((directory / "config.json").read_text())
    for change, words in (
        ({"num_hidden_layers": 2}, "has model.layers.2"),
        ({"hidden_size": 54}, "has shape"),
        (dataclasses.replace(GPT2, vocab_size=VOCAB).to_hf(), "lacks model.embed_positions.weight"),
    ):
        (directory / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=words):
            load_model(directory)
    (directory / "config.json").unlink()
    with pytest.raises(InputError, match="config.json is missing"):
        load_model(directory)


def test_fused_tensors_of_another_size_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    directory = write_directory(random_model(BLOOM), tmp_path / "hf")
    tensors = read_tensors(directory / "model.safetensors")
    name = "transformer.h.0.self_attention.query_key_value.weight"
    save_file(tensors | {name: tensors[name][:100].contiguous()}, directory / "model.safetensors")
    with pytest.raises(InputError, match="layers.0.self_attn.k_proj.weight has shape"):
        load_model(directory)
